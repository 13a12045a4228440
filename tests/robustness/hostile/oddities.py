"""Make very strange picture files: those that must open, with their sizes, and those that must be refused."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image

W, H = 24, 16  # of an ordinary one


class Oddity(NamedTuple):
    """A file.  `size` is what it must open as; None: it must be refused; (): either, in good order."""

    data: bytes
    size: tuple[int, int] | tuple[()] | None
    suffix: str = ".png"


def noise(size: tuple[int, int] = (W, H), mode: str = "RGB") -> Image.Image:
    """The same noise every time, of this size and mode."""
    rng = np.random.default_rng(7)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8), "RGBA")
    return image.convert("RGBA" if mode in ("RGBA", "LA") else "RGB").convert(mode)


def saved(image: Image.Image, format: str = "PNG", **settings) -> bytes:
    file = BytesIO()
    image.save(file, format, **settings)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_head(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))


def png_with(extra: bytes, image: Image.Image | None = None) -> bytes:
    """An ordinary PNG with more chunks behind its header."""
    data = saved(image or noise())
    return data[:33] + extra + data[33:]


def png_of_zeros(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG of black: a few bytes for any number of pixels, as a decompression bomb has it."""
    row = 1 + (width * bits * {0: 1, 2: 3, 6: 4}[colour] + 7) // 8
    packer, left, packed = zlib.compressobj(9), row * height, b""
    while left:
        packed += packer.compress(bytes(min(left, 2**20)))
        left -= min(left, 2**20)
    packed += packer.flush()
    return png_head(width, height, bits, colour) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(noise(), "JPEG", exif=exif.tobytes())


def huge_exif(format: str, length: int) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "x" * length
    return saved(noise(), format, exif=exif.tobytes())


def looping_tiff() -> bytes:
    """A TIFF whose directory says that the next one is itself."""
    data = bytearray(saved(noise(), "TIFF"))
    at = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[at : at + 2])[0]
    data[at + 2 + 12 * count : at + 6 + 12 * count] = struct.pack("<I", at)
    return bytes(data)


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def jpeg_of_size(width: int, height: int) -> bytes:
    """A small JPEG that says it is this large."""
    data = saved(noise(), "JPEG")
    return patched(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))


def animated(format: str) -> bytes:
    frames = [noise(), noise().transpose(Image.Transpose.ROTATE_180)]
    return saved(frames[0], format, save_all=True, append_images=frames[1:], duration=50, loop=0)


def transparent_palette() -> bytes:
    image = noise().quantize(16)
    return saved(image, transparency=bytes(range(0, 256, 16)))


def deep(dtype, values) -> bytes:
    return saved(Image.fromarray(np.resize(np.array(values, dtype), (H, W))), "TIFF")


def text_bomb(megabytes: int) -> bytes:
    packed = zlib.compress(bytes(megabytes * 2**20), 9)
    return chunk(b"zTXt", b"parameters\0\0" + packed)


def profile_bomb(megabytes: int) -> bytes:
    return chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(megabytes * 2**20), 9))


def _opening() -> dict[str, tuple[Callable[[], bytes], tuple[int, int], str]]:
    """Those that must open, and as what size."""
    sizes = {"1x1": (1, 1), "65500x1": (65500, 1), "1x65500": (1, 65500), "7x3": (7, 3)}
    found = {f"png {name}": (lambda s=s: saved(noise(s)), s, ".png") for name, s in sizes.items()}
    found["jpeg 65500x1"] = (lambda: saved(noise((65500, 1)), "JPEG"), (65500, 1), ".jpg")
    found |= {
        f"png {mode}": (lambda m=mode: saved(noise(mode=m)), (W, H), ".png")
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA")
    }
    found |= {
        f"exif orientation {n}": (lambda n=n: turned(n), (H, W) if 5 <= n <= 8 else (W, H), ".jpg")
        for n in (*range(10), 65535)
    }
    found |= {
        f"animated {form}": (lambda f=form: animated(f), (W, H), f".{form.lower()}")
        for form in ("GIF", "PNG", "WEBP")
    }
    found |= {
        f"named wrongly {a}": (lambda f=a: saved(noise(), f), (W, H), b)
        for a, b in (("PNG", ".jpg"), ("JPEG", ".png"), ("GIF", ".webp"), ("BMP", ".tiff"), ("WEBP", ".gif"))
    }
    more = {
        "cmyk jpeg": lambda: saved(noise(mode="CMYK"), "JPEG"),
        "cmyk with a broken profile": lambda: saved(noise(mode="CMYK"), "JPEG", icc_profile=b"\xff" * 500),
        "16 bit png": lambda: saved(Image.fromarray(np.arange(W * H, dtype=np.uint16).reshape(H, W) * 170)),
        "32 bit tiff": lambda: deep(np.int32, [-(2**31), 0, 2**31 - 1]),
        "float tiff": lambda: deep(np.float32, [0, 0.5, 1]),
        "float tiff of NaN and inf": lambda: deep(np.float32, [np.nan, np.inf, -np.inf, 3e38]),
        "lab tiff": lambda: saved(noise(mode="LAB"), "TIFF"),
        "palette with transparency": transparent_palette,
        "one transparent colour": lambda: saved(noise(), transparency=(1, 2, 3)),
        "huge exif png": lambda: huge_exif("PNG", 5_000_000),
        "huge exif jpeg": lambda: huge_exif("JPEG", 65_000),
        "broken exif": lambda: png_with(chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff" + bytes(50))),
        "broken icc": lambda: saved(noise(), icc_profile=b"\0" * 16 + b"RGB " + b"\xff" * 500),
        "short icc": lambda: saved(noise(), icc_profile=b"\xff"),
        "huge icc": lambda: saved(noise(), icc_profile=bytes(16) + b"RGB " + bytes(900_000)),
        "interlaced gif": lambda: saved(noise().quantize(200), "GIF", interlace=1),
        "progressive jpeg": lambda: saved(noise(), "JPEG", progressive=True),
        "multi-page tiff": lambda: animated("TIFF"),
        "tiff in a circle": looping_tiff,
        "rubbish behind the end": lambda: saved(noise()) + b"PK\x03\x04<script>" * 999,
        "text of control characters": lambda: png_with(chunk(b"tEXt", b"parameters\0" + bytes(range(1, 255)))),
        "script in the text": lambda: png_with(chunk(b"tEXt", b"prompt\0<script>alert(1)</script>")),
    }
    return found | {name: (make, (W, H), ".png") for name, make in more.items()}


def _refused() -> dict[str, Callable[[], bytes]]:
    """Those that nobody can or should open."""
    found = {
        "nothing": lambda: b"",
        "a zero byte": lambda: b"\0",
        "zeros": lambda: bytes(5000),
        "html": lambda: b"<!doctype html><script>alert(1)</script>",
        "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd)(r)file\n",
        "pdf": lambda: b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj",
        "zip": lambda: b"PK\x03\x04" + bytes(99),
        "pickle": lambda: b"cos\nsystem\n(S'true'\ntR.",
        "text": lambda: b"hello\n" * 500,
        "png bomb": lambda: png_of_zeros(30000, 30000, 1, 0),
        "png says 2^31": lambda: png_head(2**31 - 1, 2**31 - 1),
        "png without pixels": lambda: png_head(W, H) + chunk(b"IEND", b""),
        "png 0x0": lambda: png_head(0, 0) + chunk(b"IEND", b""),
        "jpeg says 65535": lambda: jpeg_of_size(65535, 65535),
        "jpeg 0x0": lambda: jpeg_of_size(0, 0),
        "gif says 65535": lambda: patched(saved(noise(), "GIF"), 6, b"\xff\xff\xff\xff"),
        "bmp says 2^31": lambda: patched(saved(noise(), "BMP"), 18, b"\xff\xff\xff\x7f\xff\xff\xff\x7f"),
        "bmp of negative width": lambda: patched(saved(noise(), "BMP"), 18, b"\xff\xff\xff\xff"),
        "ppm says 10^8": lambda: b"P6 99999999 99999999 255\n" + bytes(99),
        "ppm of many digits": lambda: b"P6 " + b"9" * 5000 + b" 9 255\n",
        "text bomb": lambda: png_with(text_bomb(200)),
    }
    for form in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
        found[f"{form} cut at 30 bytes"] = lambda f=form: saved(noise(), f)[:30]
    return found


def _either() -> dict[str, Callable[[], bytes]]:
    found = {
        "profile bomb": lambda: png_with(profile_bomb(200)),
        "wrong checksum": lambda: _flipped(saved(noise()), 45),
        "several headers": lambda: png_with(png_head(9, 9)[8:]),
    }
    for form in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        for part in (10, 50, 90, 99):
            found[f"{form} cut at {part} %"] = lambda f=form, p=part: _part(saved(noise((60, 40)), f), p)
    return found


def _part(data: bytes, percent: int) -> bytes:
    return data[: len(data) * percent // 100]


def _flipped(data: bytes, at: int) -> bytes:
    return patched(data, at, bytes([data[at] ^ 0xFF]))


def names() -> list[str]:
    return [*_opening(), *_refused(), *_either()]


def opening() -> list[str]:
    """The names of those that must open."""
    return [*_opening()]


def oddity(name: str) -> Oddity:
    """The file of this name, made now."""
    if name in (found := _opening()):
        make, size, suffix = found[name]
        return Oddity(make(), size, suffix)
    if name in (found := _refused()):
        return Oddity(found[name](), None)
    return Oddity(_either()[name](), ())
