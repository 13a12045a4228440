"""The web page: a photo, a brush, a prompt, and a picture that forms before your eyes.

Modules, from the outside in: `layout` puts the page together, `stage` is the picture with its brush, `controls` the
panel beside it, `opening`, `running`, `keeping` and `filming` answer what a person does, `session` remembers it,
`desk` lets one job at a time at the model.  Only this package and app.py import gradio.
"""
