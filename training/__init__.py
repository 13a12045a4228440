"""Train the built-in model: a complete small Stable Diffusion, from nothing, on two cores or a GPU.

    python -m training --work DIR --photos FOLDER

resumes from wherever the work folder stands, and may be killed at any moment.
"""
