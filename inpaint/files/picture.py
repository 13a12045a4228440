"""A photo as it should be seen: upright, 8-bit RGB, with its transparency, colour profile and EXIF kept aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image

from ..errors import UnreadablePicture
from . import pixel_modes
from .reading import MAX_PIXELS, opened

__all__ = ["MAX_PIXELS", "Picture", "open_mask"]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A photo on the way in, and what the result must get back on the way out."""

    rgb: Image.Image  # mode RGB, upright
    alpha: Image.Image | None = None  # mode L, the same size
    icc: bytes | None = None
    exif: bytes | None = None  # without orientation and thumbnail
    notes: tuple[str, ...] = ()  # what was done on opening, fit to be shown to a person

    @classmethod
    def open(cls, source: Any) -> Picture:
        """From a path, bytes, file object, Pillow image, array [H, W(, 3 | 4)] or Picture; or UnreadablePicture."""
        if isinstance(source, cls):
            return source
        image, exif, several = opened(source)
        rgb, notes = pixel_modes.to_rgb(image)
        if several:
            notes.append("Several frames or pages: only the first is used.")
        icc = _rgb_profile(image)
        if image.info.get("icc_profile") and not icc and image.mode != "CMYK":
            notes.append("Its colour profile is not for RGB: left out.")
        return cls(_bare(rgb), pixel_modes.alpha_of(image), icc, exif, tuple(notes))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.rgb.size

    def repainted(self, rgb: Image.Image, alpha: Image.Image | None = None) -> Image.Image:
        """`rgb` made RGBA with this picture's transparency (or `alpha`) if it has any; profile and EXIF in its info.

        Unless it is this picture's own, `rgb` itself is returned: a copy of 12 megapixels is 48 MB.
        """
        alpha = alpha or self.alpha
        image = rgb.copy() if rgb is self.rgb and not alpha else rgb
        if alpha:
            image = Image.merge("RGBA", (*rgb.split(), alpha))
        image.info = {k: v for k, v in (("icc_profile", self.icc), ("exif", self.exif)) if v}
        return image


def open_mask(source: Any) -> Image.Image:
    """Mode L, white = repaint, from the same sources.  What is transparent counts as black."""
    if isinstance(source, Picture):
        grey, alpha = source.rgb.convert("L"), source.alpha
    else:
        image = opened(_as_levels(source)).image
        if image.mode == "F":
            _finite(image)
        grey = image.copy() if image.mode == "L" else pixel_modes.to_rgb(image)[0].convert("L")
        alpha = pixel_modes.alpha_of(image)
    if alpha is not None:
        from PIL.ImageChops import multiply

        grey = multiply(grey, alpha)
    return _bare(grey)


def _as_levels(source: Any) -> Any:
    """Arrays of whole numbers that are all 0 or 1 mean no and yes, as they do nearly everywhere."""
    if (
        getattr(getattr(source, "dtype", None), "kind", "") in ("i", "u")
        and source.size
        and source.min() >= 0
        and source.max() == 1
    ):
        return source.astype(bool)
    return source


def _finite(image: Image.Image) -> None:
    import numpy as np

    if not np.isfinite(np.asarray(image)).all():
        raise UnreadablePicture("The mask holds values that are no numbers.", "Give finite numbers.")


def _bare(image: Image.Image) -> Image.Image:
    """The image, which is our own, with none of the file's words."""
    image.info = {}
    return image


def _rgb_profile(image: Image.Image) -> bytes | None:
    """The colour profile, if it is one for RGB: on RGB pixels a CMYK or grey one would be a lie."""
    profile = image.info.get("icc_profile")
    if image.mode in ("CMYK", "LAB") or not isinstance(profile, bytes):
        return None
    return profile if len(profile) >= 128 and profile[16:20] == b"RGB " else None
