"""Show the web page: a photo, a brush, a prompt, and a picture that forms as you watch.

`main` starts the page and `layout` builds it.  `paint/` handles the events of the Paint tab, `session` keeps what
each visitor has open, and `jobs/` runs one job at a time.  Only this package imports gradio.
"""
