"""Pictures for the screen: small, light, sent inside the message; the original never leaves the session."""

from __future__ import annotations

import base64
import binascii
import io

from PIL import Image

from inpaint import InvalidRequest, Picture

from .jobs.worker import data_url

SIDE = 1024  # long side of what is painted on, pixels


def small(image: Image.Image, side: int = SIDE) -> Image.Image:
    """At most `side` pixels long."""
    scale = min(1.0, side / max(image.size))
    if scale == 1:
        return image
    size = tuple(max(1, round(n * scale)) for n in image.size)
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


def shown(image: Image.Image, side: int = SIDE, quality: int = 90) -> str:
    """`data:` address of a display copy: JPEG, or WebP where something is transparent."""
    image, buffer = small(image, side), io.BytesIO()
    if image.mode == "RGBA":
        image.save(buffer, "WEBP", quality=quality, method=2)
        return data_url(buffer.getvalue(), "webp")
    image.convert("RGB").save(buffer, "JPEG", quality=quality, subsampling=0)
    return data_url(buffer.getvalue())


def shown_picture(picture: Picture) -> str:
    """`data:` address of the picture, with its transparency."""
    if picture.alpha is None:
        return shown(picture.rgb)
    image = small(picture.rgb).copy()
    image.putalpha(picture.alpha.resize(image.size))
    return shown(image)


def shown_grey(image: Image.Image) -> str:
    """`data:` address of a mask, PNG."""
    buffer = io.BytesIO()
    small(image.convert("L")).save(buffer, "PNG")
    return data_url(buffer.getvalue(), "png")


def mask_from(address: str | None) -> Image.Image | None:
    """L mask from the painter's `data:` address; None where nothing is painted."""
    if not address:
        return None
    try:
        head, data = address.split(",", 1)
        if not head.startswith("data:image/png"):
            raise ValueError(head)
        image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)), formats=("PNG",))
        if max(image.size) > 4 * SIDE:
            raise ValueError(image.size)
        return image.convert("L")
    except (ValueError, OSError, binascii.Error, SyntaxError) as error:
        raise InvalidRequest("mask", "The mask did not arrive whole.", "Press Repaint again.") from error
