"""Read PNG and TIFF with 16 bits a channel, and write the 16 bits again wherever nothing was painted.

Everything in between works on 8 bits.  `merged` puts the 16 bits of a pixel back if its 8 bits are unchanged, however
often the picture was repainted and whatever was undone in between.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from .pixel_modes import BITS

if TYPE_CHECKING:
    from PIL import Image

FULL = 65535
SIGNATURE = b"\x89PNG\r\n\x1a\n"
ROWS = 256  # converted at a time, so that a large picture needs no second copy
KEPT = "16 bits a channel: PNG and TIFF files keep them wherever nothing is painted, other formats hold 8."


def read(image: Any) -> np.ndarray | None:
    """Return the samples of an opened PNG or TIFF as uint16 [H, W, 3 or 4], not turned; None if it has fewer bits.

    `image` must not be decoded yet.  Raises the decoder's own errors if the file is damaged.
    """
    file = getattr(image, "fp", None)
    if file is None or not _is_deep(image):
        return None
    at = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(at)
    samples = _png(data) if image.format == "PNG" else _tiff(data, image.tell())
    size = image.size if image.format == "PNG" else (image.tag_v2[256], image.tag_v2[257])  # before it is turned
    if samples is None or samples.dtype != np.uint16 or samples.shape[:2] != size[::-1]:
        return None
    return in_colour(samples)


def of_greys(image: Image.Image) -> np.ndarray:
    """Return uint16 [H, W, 3] of a 16-bit grey image, which Pillow reads without loss."""
    return in_colour(np.asarray(image).astype(np.uint16))


def in_colour(samples: np.ndarray) -> np.ndarray:
    """Return [H, W], or [H, W, C] with 1 to 4 channels, as RGB or RGBA: greys are repeated."""
    if samples.ndim == 2:
        samples = samples[..., None]
    if samples.shape[2] > 2:
        return samples[..., :4]
    return samples[..., [0, 0, 0, 1] if samples.shape[2] == 2 else [0, 0, 0]]


def stretched(samples: np.ndarray) -> tuple[np.ndarray, str]:
    """Scale samples that use only 8, 10 or 12 of their 16 bits to the whole range; return them and a note."""
    highest = int(samples.max())
    bits = next(bits for bits in BITS if highest < 2**bits)
    if bits == 16:
        return samples, KEPT
    top = 2**bits - 1
    out = np.empty(samples.shape, np.uint16)
    for row in range(0, len(samples), ROWS):
        out[row : row + ROWS] = (samples[row : row + ROWS].astype(np.uint32) * FULL + top // 2) // top
    return out, f"Only {bits} of its 16 bits are used: it is shown by that range. {KEPT}"


def eight_bits(samples: np.ndarray) -> np.ndarray:
    """Round to uint8 of the same shape: 257 becomes 1."""
    out = np.empty(samples.shape, np.uint8)
    for top in range(0, len(samples), ROWS):
        out[top : top + ROWS] = (samples[top : top + ROWS].astype(np.uint32) + 128) // 257
    return out


def merged(pixels: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return uint16 [H, W, C]: `samples` where they round to `pixels` (uint8 [H, W, C]), else `pixels` widened."""
    out = np.empty(pixels.shape, np.uint16)
    for top in range(0, len(pixels), ROWS):
        rows, deep = pixels[top : top + ROWS], samples[top : top + ROWS]
        out[top : top + ROWS] = np.where(eight_bits(deep) == rows, deep, rows * np.uint16(257))
    return out


def png(samples: np.ndarray, template: bytes) -> bytes:
    """Return a PNG file of uint16 samples [H, W, C] with all chunks of the PNG file `template` except its pixels."""
    ours = dict(_chunks(bare_png(samples)))
    out = [SIGNATURE, _chunk(b"IHDR", ours[b"IHDR"])]
    pixels_written = False
    for kind, data in _chunks(template):
        if kind == b"IDAT" and not pixels_written:
            out.append(_chunk(b"IDAT", ours[b"IDAT"]))
            pixels_written = True
        elif kind not in (b"IHDR", b"IDAT"):
            out.append(_chunk(kind, data))
    return b"".join(out)


def bare_png(samples: np.ndarray) -> bytes:
    """Return a PNG file of uint16 samples [H, W, 3 or 4] without any metadata."""
    import imagecodecs

    # as small as with other settings, and three times as fast
    quick = {"level": 1, "strategy": imagecodecs.PNG.STRATEGY.RLE, "filter": imagecodecs.PNG.FILTER.SUB}
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(samples), **quick))


def from_png(data: bytes, shape: tuple[int, int, int]) -> np.ndarray | None:
    """Return the samples of a PNG file; None unless its header, read first, says 16 bits and this shape."""
    kind = {3: 2, 4: 6}[shape[2]]
    if data[:8] != SIGNATURE or data[16:26] != struct.pack(">IIBB", shape[1], shape[0], 16, kind):
        return None
    try:
        samples = _png(data)
    except Exception:  # the decoder has its own kinds of errors
        return None
    return samples if samples.shape == shape and samples.dtype == np.uint16 else None


def _is_deep(image: Any) -> bool:
    """Return whether a PNG or TIFF has 16 bits in each channel, by its header."""
    if image.format == "PNG":
        return any(str(tile[3]) in ("RGB;16B", "RGBA;16B", "LA;16B") for tile in image.tile)
    if image.format == "TIFF":
        bits = image.tag_v2.get(258, ())
        return set(bits if isinstance(bits, tuple) else (bits,)) == {16} and image.mode in ("RGB", "RGBA")
    return False


def _png(data: bytes) -> np.ndarray:
    import imagecodecs

    return imagecodecs.png_decode(data)


def _tiff(data: bytes, number: int) -> np.ndarray | None:
    import tifffile

    with tifffile.TiffFile(BytesIO(data)) as file:
        page: Any = file.pages[number]
        if page.photometric not in (1, 2) or 1 in page.extrasamples:  # grey or RGB, alpha not multiplied in
            return None
        samples = page.asarray()
    return np.moveaxis(samples, 0, -1) if page.axes == "SYX" else samples


def _chunks(data: bytes):
    """Yield (kind, data) for each chunk of a PNG file; the chunks of its pixels are joined."""
    at, pixels = 8, []
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        at += length + 12
        if kind == b"IDAT":
            pixels.append(body)
            continue
        if pixels:
            yield b"IDAT", b"".join(pixels)
            pixels = []
        yield kind, body


def _chunk(kind: bytes, data: bytes) -> bytes:
    from zlib import crc32

    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))
