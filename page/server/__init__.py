"""Harden Gradio and speed up its start."""
