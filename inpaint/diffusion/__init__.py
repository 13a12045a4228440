"""Denoise latents with a mask: the algorithm, using torch only.  Start with `sampling.py`."""
