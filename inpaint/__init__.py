"""Inpainting with Stable Diffusion: a photo, a mask and a prompt become a repainted photo.

    painter = inpaint.load("builtin")
    request = inpaint.Request("a red scarf", "cat.jpg", mask="mask.png", seed=7)
    *steps, result = painter.stream(request)
    result.image.save("scarf.png")

Nothing heavy is imported until a model is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import InpaintError, InvalidRequest, ModelError, ModelUnavailable, OutOfMemory, UnreadablePicture
from .files.picture import Picture
from .request import Request
from .result import Result

if TYPE_CHECKING:
    from .diffusion.sampling import Step
    from .inpainter import Inpainter

__all__ = [
    "InpaintError",
    "Inpainter",
    "InvalidRequest",
    "ModelError",
    "ModelUnavailable",
    "OutOfMemory",
    "Picture",
    "Request",
    "Result",
    "Step",
    "UnreadablePicture",
    "load",
]

_LAZY = {"Inpainter": "inpainter", "Step": "diffusion.sampling"}  # these import torch


def load(name: str = "builtin", **options) -> Inpainter:
    """A painter for "builtin", "toy", "sd15", a folder, a single file or a Hub id; see `models.load`."""
    from .inpainter import Inpainter
    from .models.loading import load

    return Inpainter(load(name, **options))


def __getattr__(name: str):
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
