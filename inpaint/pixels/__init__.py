"""Masks, crops, fills and blending, on pixels."""
