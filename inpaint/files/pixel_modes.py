"""Convert every mode of Pillow to 8-bit RGB and transparency.

Ordinary 8-bit modes go through Pillow's own `convert("RGB")`, so that a kept pixel stays as every other program
shows it.  Deeper modes are scaled instead of clipped; CMYK is converted by its colour profile if that works.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    import numpy as np

BITS = (8, 10, 12, 16)  # how many bits of each sample a file may use; scanners and cameras store 12 bits in 16
ROWS = 256
SAMPLE_FORMAT = 339  # TIFF's tag; 1 is unsigned
DEEP = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}


def to_rgb(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Return the image in mode RGB, and notes on the conversion."""
    if image.mode in DEEP:
        import numpy as np

        levels, note = scaled(np.asarray(image))
        return Image.fromarray(levels).convert("RGB"), [note]
    if image.mode == "CMYK":
        managed = _managed(image, image.info.get("icc_profile"))
        how = "its colour profile" if managed else "the plain formula"
        return managed or image.convert("RGB"), [f"CMYK: converted to RGB by {how}."]
    if image.mode == "LAB":
        return _managed(image, None) or image.getchannel("L").convert("RGB"), ["LAB: converted to RGB."]
    if image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.upper())
    if image.mode == "PA" or isinstance(image.info.get("transparency"), bytes):
        image = image.convert("RGBA")  # the same colours; Pillow warns about the direct conversion
    return image.convert("RGB"), []


def alpha_of(image: Image.Image) -> Image.Image | None:
    """Return the transparency as mode L, 255 = opaque; None for an opaque picture."""
    if image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.upper())
    if image.mode in ("RGBA", "LA", "PA"):
        return image.getchannel("A")
    if image.mode in ("1", "L", "P", "RGB") and "transparency" in image.info:
        return image.convert("RGBA").getchannel("A")
    return None


def unsigned(image: Image.Image) -> Image.Image:
    """Return the image as mode F if it came from a TIFF of unsigned 32-bit numbers that Pillow reads as negative."""
    if image.format != "TIFF" or image.mode != "I":
        return image
    kind = image.tag_v2.get(SAMPLE_FORMAT, 1)  # type: ignore[attr-defined]  # a TIFF has one
    if (kind[0] if isinstance(kind, tuple) else kind) != 1:
        return image
    import numpy as np

    values = np.asarray(image)
    if values.min() >= 0:
        return image
    found = Image.fromarray(values.view(np.uint32).astype(np.float32))
    found.info = image.info
    return found


def scaled(values: np.ndarray) -> tuple[np.ndarray, str]:
    """Scale numbers of any range to uint8 of the same shape; return them and a note.

    Whole numbers are scaled by the bits they use: 8, 10, 12 or 16.  Floats count as 0 to 1 or 0 to 255 if they fit.
    Anything else is scaled by its own range, which begins at 0 or at the lowest negative value.  NaN and infinity
    become 0.
    """
    import numpy as np

    whole = values.dtype.kind in "iu"
    if not whole:
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if whole and low >= 0 and high <= 65535:
        bits = next(bits for bits in BITS if high < 2**bits)
        low, top = 0.0, 2.0**bits - 1
        note = (
            "16 bits a channel: scaled to 8." if bits == 16 else f"{bits} bits a channel: scaled to 8 by that range."
        )
    elif low >= 0 and (high <= 1 or 128 <= high <= 255):
        low, top, note = 0.0, 1.0 if high <= 1 else 255.0, "Floating point: scaled to 8 bits."
    else:
        low, top = min(low, 0.0) if low < 0 else 0.0, high
        note = f"Its values run from {float(values.min()):.4g} to {high:.4g}: shown by that range, with 8 bits."
    out = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), ROWS):  # some rows at a time, to save memory
        part = (values[row : row + ROWS].astype(np.float32) - np.float32(low)) * np.float32(255 / (top - low or 1))
        out[row : row + ROWS] = np.rint(part).clip(0, 255)
    return out, note


def _managed(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """Convert CMYK or LAB to RGB with littleCMS; return None if a CMYK profile is missing, broken or does not fit."""
    from PIL import ImageCms

    if image.mode == "CMYK" and not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile)) if profile else ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except Exception:  # littleCMS raises several kinds of errors
        return None
