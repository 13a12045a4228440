"""Protect Gradio's server and speed up its start."""
