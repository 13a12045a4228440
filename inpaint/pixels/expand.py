"""Add canvas around the picture for outpainting; all of the new canvas is painted."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from PIL import Image

from ..errors import InvalidRequest
from ..files.picture import Picture
from ..files.reading import MAX_PIXELS

MOST = 4096  # pixels on one side


def expand(picture: Picture, spec: str) -> Picture:
    """Return the picture on a larger canvas, its edge pixels repeated outwards; the new canvas is opaque.

    spec  "left,top,right,bottom" in pixels, or an aspect ratio like "16:9", reached by growing in one direction
    """
    left, top, right, bottom = sides(spec, picture.size)
    w, h = picture.size
    size = (w + left + right, h + top + bottom)
    if size[0] * size[1] > MAX_PIXELS:
        raise InvalidRequest("expand", f"The picture would have {size[0]} × {size[1]} pixels.", "Extend it by less.")
    rim = [(top, bottom), (left, right)]
    rgb = Image.fromarray(np.pad(np.asarray(picture.rgb), [*rim, (0, 0)], mode="edge"))
    alpha = picture.alpha and Image.fromarray(np.pad(np.asarray(picture.alpha), rim, constant_values=255))
    samples = None
    if picture.samples is not None:
        samples = np.pad(picture.samples, [*rim, (0, 0)], mode="edge")
    return replace(picture, rgb=rgb, alpha=alpha, samples=samples)


def sides(spec: str, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the pixels to add left, top, right and bottom; raise InvalidRequest if none are."""
    pixels = re.fullmatch(r"\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,\s*(\d{1,4})\s*", spec)
    ratio = re.fullmatch(r"\s*(\d{1,4}(?:\.\d{1,4})?)\s*:\s*(\d{1,4}(?:\.\d{1,4})?)\s*", spec)
    if pixels:
        added = int(pixels[1]), int(pixels[2]), int(pixels[3]), int(pixels[4])
    elif ratio and float(ratio[1]) > 0 and float(ratio[2]) > 0:
        aspect, (w, h) = float(ratio[1]) / float(ratio[2]), size
        dx, dy = max(0, round(h * aspect) - w), max(0, round(w / aspect) - h)
        added = (dx // 2, dy // 2, dx - dx // 2, dy - dy // 2)
    else:
        raise InvalidRequest(
            "expand",
            f"expand cannot be {spec[:40]!r}.",
            "Give left,top,right,bottom in pixels, or an aspect ratio like 16:9.",
        )
    if not any(added):
        raise InvalidRequest("expand", "The picture already has that shape.", "Extend a side by some pixels.")
    if max(added) > MOST:
        raise InvalidRequest("expand", f"A side cannot grow by {max(added)} pixels.", f"Use at most {MOST}.")
    return added
