"""Inpaint with Stable Diffusion: a photo, a mask and a prompt become a repainted photo.

    painter = inpaint.load("builtin")
    request = inpaint.Request("a red scarf", "cat.jpg", mask="mask.png", seed=7)
    *steps, result = painter.stream(request)
    result.image.save("scarf.png")

Nothing heavy is imported until a model is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import InpaintError, InvalidRequest, ModelError, ModelUnavailable, OutOfMemory, UnreadablePicture
    from .files.picture import Picture
    from .inpainter import Inpainter
    from .pipeline.filling import Filled
    from .pipeline.step import Step
    from .request import Request
    from .result import Result

__version__ = "0.2.0"
__all__ = [
    "Filled",
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
    "select",
]

_MODULES = {  # where each public name lives; it is imported on first use
    **dict.fromkeys(
        ("InpaintError", "InvalidRequest", "ModelError", "ModelUnavailable", "OutOfMemory", "UnreadablePicture"),
        "errors",
    ),
    "Filled": "pipeline.filling",
    "Inpainter": "inpainter",
    "Picture": "files.picture",
    "Request": "request",
    "Result": "result",
    "Step": "pipeline.step",
}


def load(name: str = "builtin", **options) -> Inpainter:
    """Return a painter for "builtin", "toy", "sd15", a folder, a single file or a Hub id; see `models.load`."""
    from .inpainter import Inpainter
    from .models.loading import load

    return Inpainter(load(name, **options))


def select(picture, line=(), loop=(), grow: int | None = None, model: str | None = None):
    """Return a mask (Pillow, L) of the thing under a line of points, or inside a loop: [(x, y), …] in pixels.

    line  one point is a click on the thing; more are a line drawn over it
    loop  the corners of a box or of any closed line around it
    grow  pixels beyond the thing's edge; None for a little, as removing it needs
    model a folder or a Hub id of SAM 2, such as facebook/sam2.1-hiera-tiny; None needs no model
    """
    from .files.picture import Picture
    from .pixels import objects

    more = {}
    if model is not None:
        from .models import sam

        more["find"] = sam.load(model)
    return objects.select(objects.Source(Picture.open(picture).rgb), line, loop, grow, **more).whole()


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    globals()[name] = value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
