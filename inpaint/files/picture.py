"""Hold a photo as upright 8-bit RGB, together with the transparency and metadata that the result gets back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image

from . import pixel_modes
from .reading import MAX_PIXELS, Opened, opened

if TYPE_CHECKING:
    import numpy as np

__all__ = ["MAX_PIXELS", "SAMPLES", "Picture"]

SAMPLES = "samples"  # where a result's info holds the 16 bits of the picture it was made from


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A photo as it was read, with the transparency and metadata that the result gets back when it is saved."""

    rgb: Image.Image  # mode RGB, upright
    alpha: Image.Image | None = None  # mode L, the same size
    icc: bytes | None = None
    exif: bytes | None = None  # without orientation and thumbnail
    notes: tuple[str, ...] = ()  # sentences for people about what was done on opening
    info: dict[str, Any] = field(default_factory=dict)  # XMP, dpi, texts …, under Pillow's names
    samples: np.ndarray | None = None  # uint16 [H, W, 3 or 4], upright, of a file with 16 bits a channel
    orientation: int = 1  # the EXIF orientation it was turned by

    @classmethod
    def open(cls, source: Any) -> Picture:
        """Return the picture in a path, bytes, file object, Pillow image, array [H, W(, 3 | 4)] or Picture.

        Raises UnreadablePicture.
        """
        if isinstance(source, cls):
            return source
        got = opened(source)
        image = got.image
        rgb, alpha, samples, notes = _pixels(got)
        if got.several:
            notes.append("Several frames or pages: only the first is used.")
        icc = _rgb_profile(image)
        if image.info.get("icc_profile") and not icc and image.mode != "CMYK":
            notes.append("Its colour profile is not for RGB, so it was left out.")
        return cls(_bare(rgb), alpha, icc, got.exif, tuple(notes), got.info or {}, samples, got.orientation)

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height in pixels."""
        return self.rgb.size

    def repainted(self, rgb: Image.Image, alpha: Image.Image | None = None) -> Image.Image:
        """Return `rgb` with this picture's transparency (or `alpha`), if any, and its metadata in `info`.

        `rgb` itself is returned, not a copy (48 MB for 12 megapixels), unless it is this picture's own or gets
        transparency.
        """
        alpha = alpha or self.alpha
        image = rgb.copy() if rgb is self.rgb and not alpha else rgb
        if alpha:
            image = Image.merge("RGBA", (*rgb.split(), alpha))
        own = {"icc_profile": self.icc, "exif": self.exif, SAMPLES: self.samples}
        known: dict[Any, Any] = {key: value for key, value in own.items() if value is not None}
        image.info = known | self.info
        return image


def _pixels(got: Opened) -> tuple[Image.Image, Image.Image | None, np.ndarray | None, list[str]]:
    """Return mode RGB, alpha, the 16-bit samples, and notes on the conversion."""
    image, samples = got.image, got.samples
    if samples is None and not image.mode.startswith("I;16"):
        kept = image.info.get(SAMPLES)  # an earlier result that is repainted again
        fits = kept is not None and kept.shape[:2] == image.size[::-1]
        rgb, notes = pixel_modes.to_rgb(image)
        return rgb, pixel_modes.alpha_of(image), kept if fits else None, [*notes, *got.notes]
    from . import sixteen_bit

    if samples is None:
        samples = sixteen_bit.of_greys(image)
    samples, note = sixteen_bit.stretched(samples)
    levels = sixteen_bit.eight_bits(samples)
    alpha = Image.fromarray(levels[..., 3]) if levels.shape[2] == 4 else None
    return Image.fromarray(levels[..., :3]), alpha, samples, [note]


def _bare(image: Image.Image) -> Image.Image:
    """Return the image without the file's info; the image is our own copy."""
    image.info = {}
    return image


def _rgb_profile(image: Image.Image) -> bytes | None:
    """Return the colour profile if it is for RGB; one for CMYK or grey does not fit RGB pixels."""
    profile = image.info.get("icc_profile")
    if image.mode in ("CMYK", "LAB") or not isinstance(profile, bytes):
        return None
    return profile if len(profile) >= 128 and profile[16:20] == b"RGB " else None
