"""Build photos, masks and saved results, good and forged, for the tests of records."""

import json
import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from inpaint import Request
from inpaint.files import original
from tests.fakes import result_of
from tests.test_result import ICC, exif_block


def photo(size=(96, 72), mode="RGB", seed=3) -> bytes:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (9, 12, 4), dtype=np.uint8)
    picture = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).convert(mode)
    file = BytesIO()
    picture.save(file, "PNG", icc_profile=ICC, exif=exif_block())
    return file.getvalue()


def disc(size=(96, 72)) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse((size[0] // 4, size[1] // 4, size[0] * 2 // 3, size[1] * 2 // 3), fill=255)
    mask.putpixel((0, 0), 128)
    return mask


def same(a: Request, b: Request) -> None:
    """Assert that two requests are equal to the last bit, except for notes."""
    assert a.settings() == b.settings()
    assert (a.picture is None) == (b.picture is None) and (a.mask is None) == (b.mask is None)
    if a.picture is not None:
        assert a.picture.rgb.tobytes() == b.picture.rgb.tobytes() and a.picture.size == b.picture.size
        assert (a.picture.alpha is None) == (b.picture.alpha is None)
        assert a.picture.alpha is None or a.picture.alpha.tobytes() == b.picture.alpha.tobytes()
        assert (a.picture.icc, a.picture.exif) == (b.picture.icc, b.picture.exif)
    if a.mask is not None:
        assert (a.mask.mode, a.mask.size, a.mask.tobytes()) == (b.mask.mode, b.mask.size, b.mask.tobytes())


SETTINGS = {
    "prompt": 'a "red", scarf: (very:1.2)\nNegative prompt: no\nSteps: 3',
    "negative_prompt": "模糊, blurry",
    "seed": 2**32 - 1,
    "steps": 33,
    "eta": 0.37,
    "guidance_scale": 6.3,
    "strength": 0.71,
    "grow": -3,
    "sampler": "dpm++ 2m",
    "clip_skip": 1,
    "invert": True,
    "fill": "noise",
    "feather": 5,
    "quality": "",
}


GOOD = result_of(Request("x", photo(mode="RGBA"), disc(), seed=1)).to_bytes()


def forged(change=None, text=None, chunks=None, drop=b"") -> bytes:
    """Return a good file with its JSON or its chunks changed."""
    image = Image.open(BytesIO(GOOD))
    info, record = PngInfo(), json.loads(image.info["inpaint"])
    if change:
        change(record)
    info.add_itxt("inpaint", text if text is not None else json.dumps(record))
    for cid, data, *_ in image.private_chunks:
        name, _, png = data.partition(b"\0")
        if name != drop:
            info.add(cid, name + b"\0" + (chunks or {}).get(name, png))
    file = BytesIO()
    image.save(file, "PNG", pnginfo=info, exif=exif_block())
    return file.getvalue()


def setting(*path, to):
    def change(record):
        for key in path[:-1]:
            record = record[key]
        record[path[-1]] = to

    return change


def png_of(mode, size) -> bytes:
    return original.png(Image.new(mode, size))


def bomb(size, mode=6) -> bytes:
    """Return a tiny PNG that claims to be huge."""

    def chunk(cid, data):
        return struct.pack(">I", len(data)) + cid + data + struct.pack(">I", zlib.crc32(cid + data))

    head = struct.pack(">IIBBBBB", *size, 8, mode, 0, 0, 0)
    body = zlib.compress(bytes(10_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def private_chunks(data: bytes):
    for _, chunk, *_ in Image.open(BytesIO(data)).private_chunks:
        yield chunk.split(b"\0", 1)


CHOSEN = ("quality", "size", "width", "height")  # what a result still leaves to the program
