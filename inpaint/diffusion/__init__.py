"""The algorithm, in torch alone: start with `sampling.py`."""
