"""Train the built-in model from nothing: a complete small Stable Diffusion, on two cores or a GPU.

    python -m training --work DIR --photos FOLDER

It may be killed at any moment; the same command resumes from the last save in the work folder.
"""
