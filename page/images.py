"""Make small copies of pictures for the screen, as `data:` URLs; the original stays on the server."""

from __future__ import annotations

import base64
import binascii
import io
from functools import cache
from math import ceil
from typing import Any

from PIL import Image, ImageCms

from inpaint import InvalidRequest, Picture
from inpaint.files.mask_file import understood
from inpaint.pixels.mask import SparseMask, fitted

PIXELS = 2_000_000  # of a display copy
PART_PIXELS = 4_000_000  # of a part at its own resolution; assets/page/detail.js uses the same number
MASK_PIXELS = 2**22  # of a mask; assets/page/mask.js uses the same number


def data_url(data: bytes, kind: str = "jpeg") -> str:
    """Return the `data:` URL of an image file's bytes, so that previews need no files on the server."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def small(image: Image.Image, side: int) -> Image.Image:
    """Return the image scaled down to at most `side` pixels."""
    return _scaled(image, side / max(image.size))


def reduced(image: Image.Image, pixels: int = PIXELS) -> Image.Image:
    """Return the image scaled down to at most that many pixels in all, so that a panorama keeps enough height."""
    return _scaled(image, (pixels / (image.width * image.height)) ** 0.5)


def _scaled(image: Image.Image, scale: float) -> Image.Image:
    if scale >= 1:
        return image
    width, height = (max(1, round(n * scale)) for n in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=1.0)


def encoded(image: Image.Image, quality: int = 90) -> str:
    """Return the `data:` URL of an image: JPEG, or WebP if parts are transparent."""
    buffer = io.BytesIO()
    if image.mode == "RGBA":
        image.save(buffer, "WEBP", quality=quality, method=2)
        return data_url(buffer.getvalue(), "webp")
    image.convert("RGB").save(buffer, "JPEG", quality=quality, subsampling=0)
    return data_url(buffer.getvalue())


def shown(image: Image.Image) -> str:
    """Return the `data:` URL of an image's display copy, with its colours converted to sRGB.

    image  RGB or RGBA of any size, with its colour profile in `info["icc_profile"]` if it has one
    """
    profile = image.info.get("icc_profile")
    return encoded(in_srgb(reduced(image), profile))


def shown_picture(picture: Picture) -> str:
    """Return the `data:` URL of a picture's display copy, in sRGB and with its transparency."""
    image = in_srgb(reduced(picture.rgb), picture.icc)
    if picture.alpha is not None:
        image = image.copy()
        image.putalpha(picture.alpha.resize(image.size))
    return encoded(image)


def part(image: Image.Image, alpha: Image.Image | None, profile: bytes | None, box: list[Any]) -> str:
    """Return the `data:` URL of a PNG of the pixels in the box (x0, y0, x1, y1), every one exact, in sRGB.

    Raises InvalidRequest for a box that is not inside the image, or too large to be sent at once.
    """
    if not all(type(n) is int for n in box):
        raise InvalidRequest("picture", "This is no part of the picture.")
    x0, y0, x1, y1 = box
    if not (0 <= x0 < x1 <= image.width and 0 <= y0 < y1 <= image.height) or (x1 - x0) * (y1 - y0) > PART_PIXELS:
        raise InvalidRequest("picture", "This is no part of the picture.")
    shown = in_srgb(image.crop((x0, y0, x1, y1)), profile)
    if alpha is not None:
        shown.putalpha(alpha.crop((x0, y0, x1, y1)))
    buffer = io.BytesIO()
    shown.save(buffer, "PNG", compress_level=1, icc_profile=None)
    return data_url(buffer.getvalue(), "png")


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an RGB or RGBA image from the ICC profile to sRGB; return it unchanged if the profile is no use."""
    if not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        rgb = ImageCms.profileToProfile(image.convert("RGB"), source, _srgb(), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # a broken profile, or one for other channels
        return image
    if image.mode == "RGBA" and rgb is not None:
        rgb.putalpha(image.getchannel("A"))
    return rgb or image


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def shown_grey(image: Image.Image) -> str:
    """Return the `data:` URL of a mask, PNG, with at most as many pixels as the editor shows."""
    buffer = io.BytesIO()
    reduced(image.convert("L"), MASK_PIXELS).save(buffer, "PNG")
    return data_url(buffer.getvalue(), "png")


def shown_part(mask: SparseMask, size: tuple[int, int]) -> tuple[str, list[int]]:
    """Return the part of a mask that is not black, scaled as a mask of `size` would be, as a PNG, and its box there.

    Raises InvalidRequest for a size that the editor's masks do not have.
    """
    if min(size) < 1 or size[0] * size[1] > 2 * MASK_PIXELS:
        raise InvalidRequest("mask", "The mask did not arrive completely.", "Press Repaint again.")
    x, y = mask.size[0] / size[0], mask.size[1] / size[1]
    left, top, right, bottom = mask.box()
    box = [int(left / x), int(top / y), min(size[0], ceil(right / x)), min(size[1], ceil(bottom / y))]
    near = (int(box[0] * x), int(box[1] * y), ceil(box[2] * x), ceil(box[3] * y))
    exact = (box[0] * x - near[0], box[1] * y - near[1], box[2] * x - near[0], box[3] * y - near[1])
    part = mask.crop(near).resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BOX, box=exact)
    buffer = io.BytesIO()
    part.point(lambda level: 255 * (level > 127)).save(buffer, "PNG", compress_level=1)
    return data_url(buffer.getvalue(), "png"), box


def stencil(image: Image.Image) -> str:
    """Return the `data:` URL of a PNG that is opaque where the mask (L) is not black, and clear elsewhere."""
    alpha = reduced(image, PIXELS).point(lambda level: 255 * (level > 0))
    buffer = io.BytesIO()
    Image.merge("LA", (Image.new("L", alpha.size), alpha)).save(buffer, "PNG")
    return data_url(buffer.getvalue(), "png")


def mask_from(address: Any, size: tuple[int, int]) -> Image.Image | None:
    """Return the editor's mask (L) at the picture's size, from its `data:` URL; None if nothing is painted.

    The mask of a large picture has fewer pixels; when it is enlarged, hard edges stay hard.  Raises InvalidRequest.
    """
    if not address:
        return None
    try:
        head, data = address.split(",", 1)
        if not head.startswith("data:image/png"):
            raise ValueError(head)
        image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)), formats=("PNG",))
        if image.width * image.height > 2 * MASK_PIXELS:
            raise ValueError(image.size)
        mask = image.convert("L")
    except (AttributeError, TypeError, ValueError, OSError, binascii.Error, SyntaxError) as error:
        raise InvalidRequest("mask", "The mask did not arrive completely.", "Press Repaint again.") from error
    return understood(fitted(mask, size)[0])  # no label map, however faintly it is painted
