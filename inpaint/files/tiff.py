"""Write TIFF files of 8 or 16 bits a channel, which Pillow cannot write; Pillow lays out their tags."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from zlib import compress

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

STRIP = 1 << 20  # bytes that are compressed at a time
XMP, ICC = 0x02BC, 0x8773
INCH = 2


def encode(pixels: np.ndarray, tags: dict[int, Any], icc: bytes | None, dpi: tuple[float, float] | None) -> bytes:
    """Return a TIFF file of uint8 or uint16 [H, W, 3 or 4], compressed without loss.

    tags  by number: text, bytes or, for a directory such as EXIF's, a dict
    """
    height, width, channels = pixels.shape
    rows = max(1, STRIP // pixels[0].nbytes)
    strips = [_compressed(pixels[top : top + rows]) for top in range(0, height, rows)]
    ifd = ImageFileDirectory_v2(prefix=b"II")
    for tag, value in tags.items():
        ifd[tag] = value
    ifd[256], ifd[257], ifd[258] = width, height, (8 * pixels.itemsize,) * channels
    ifd[259], ifd[262], ifd[277], ifd[278], ifd[317] = 8, 2, channels, rows, 2  # deflate, RGB, differences
    sizes = [len(strip) for strip in strips]
    ifd[273], ifd[279] = tuple(sum(sizes[:k]) for k in range(len(sizes))), tuple(sizes)
    if channels == 4:
        ifd[338] = 2  # transparency that is not multiplied in
    if icc:
        ifd[ICC] = icc
    if dpi:
        ifd[282], ifd[283], ifd[296] = *dpi, INCH
    file = BytesIO()
    ifd.save(file)
    file.writelines(strips)
    return file.getvalue()


def _compressed(rows: np.ndarray) -> bytes:
    """Return rows [h, W, C] as differences between horizontal neighbours, deflated."""
    rows = rows.astype(rows.dtype.newbyteorder("<"))
    rows[:, 1:] -= rows[:, :-1].copy()
    return compress(rows.tobytes(), 1)  # the low bits are noise: more effort makes it hardly smaller
