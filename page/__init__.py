"""Show the web page: a photo, a brush, a prompt, and a picture that forms as you watch.

`main` starts it, `layout` puts it together, `paint/` answers what a person does, `session` remembers it, and `jobs/`
lets one job at a time at the model.  Only this package imports gradio.
"""
