"""Fill a hole with copies of patches from its surroundings (PatchMatch, Barnes et al. 2009)."""

from .filling import WIDEN, Filling, fill_patches

__all__ = ["WIDEN", "Filling", "fill_patches"]
