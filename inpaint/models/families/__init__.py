"""Choose the adapter of a model's family, by its denoiser's configuration; each adapter has a file of its own."""

from __future__ import annotations

from typing import Any

from .family import Encoder, Family, Prompts
from .flux import Flux
from .sd3 import StableDiffusion3
from .sdxl import StableDiffusionXL
from .stable_diffusion import StableDiffusion

__all__ = ["EVERY", "FOLDERS", "Encoder", "Family", "Prompts", "of_config"]

EVERY: tuple[Family, ...] = (StableDiffusion(), StableDiffusionXL(), StableDiffusion3(), Flux())
FOLDERS = tuple(dict.fromkeys(folder for family in EVERY for folder in family.folders))


def of_config(config: dict[str, Any]) -> Family | None:
    """Return the family whose denoiser has this configuration, or None."""
    return next((family for family in EVERY if family.reads(config)), None)
