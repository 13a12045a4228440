"""Every mode Pillow knows, as 8-bit RGB and transparency.

Ordinary 8-bit modes go through Pillow's own `convert("RGB")`, so that a kept pixel stays what every other
program shows; deeper ones are scaled instead of clipped, and CMYK follows its colour profile if that works.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image

DEEP = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}


def to_rgb(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Mode RGB, and what had to be done, in words."""
    if image.mode in DEEP:
        return eight_bits(image).convert("RGB"), ["More than 8 bits a pixel: scaled down to 8."]
    if image.mode == "CMYK":
        managed = _managed(image, image.info.get("icc_profile"))
        how = "its colour profile" if managed else "the plain formula"
        return managed or image.convert("RGB"), [f"CMYK: converted to RGB by {how}."]
    if image.mode == "LAB":
        return _managed(image, None) or image.getchannel("L").convert("RGB"), ["LAB: converted to RGB."]
    if image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.upper())
    if image.mode == "PA" or isinstance(image.info.get("transparency"), bytes):
        image = image.convert("RGBA")  # the same colours; Pillow warns of the direct way
    return image.convert("RGB"), []


def alpha_of(image: Image.Image) -> Image.Image | None:
    """Mode L, 255 = opaque; None for a picture without transparency."""
    if image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.upper())
    if image.mode in ("RGBA", "LA", "PA"):
        return image.getchannel("A")
    if image.mode in ("1", "L", "P", "RGB") and "transparency" in image.info:
        return image.convert("RGBA").getchannel("A")
    return None


def eight_bits(image: Image.Image) -> Image.Image:
    """Mode L of a deep grey one: 16 bits over 257, floats up to 1 times 255, anything wider stretched to fit."""
    import numpy as np

    values = np.asarray(image)
    if image.mode == "F":
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65535:
        low, scale = low, 255 / (high - low or 1)
    else:
        ends = {"F": (1, 255, 65535), "I": (255, 65535)}.get(image.mode, (65535,))
        low, scale = 0.0, 255 / next(end for end in ends if high <= end)
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(scale)
    return Image.fromarray(np.rint(scaled).clip(0, 255).astype(np.uint8))


def _managed(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """RGB through littleCMS, or None if the profile (LAB's own for None) is missing, broken or for other colours."""
    from PIL import ImageCms

    if image.mode == "CMYK" and not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile)) if profile else ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except Exception:  # littleCMS says no in several ways
        return None
