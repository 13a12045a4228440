"""Keep a photo's metadata beside EXIF and colour profile: XMP, resolution, texts and PNG's colour chunks.

All of it is named as Pillow names it in `image.info`, so that a result carries it as if it came from a file.
"""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from . import exif, xmp
from .embedded import holds_picture

if TYPE_CHECKING:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

LONGEST = 10_000  # characters of one text
MOST = 50  # texts
ENCODING = "inpaint encoding"  # how the photo's own file was encoded
SETTINGS = {"parameters", "inpaint", "prompt", "workflow", "sd-metadata", "invokeai_metadata", "Dream"}
NO_TEXT = {"XML:com.adobe.xmp", "compression", "transparency"}
HIDDEN = ("Raw profile type", "Thumb::", "date:", "icc:")  # copies of EXIF and XMP, thumbnails, file names
WORDS = {"Title": 0x010E, "Description": 0x010E, "Author": 0x013B, "Copyright": 0x8298, "Software": 0x0131}  # EXIF's
X_RESOLUTION, Y_RESOLUTION, UNIT, INCHES = 0x011A, 0x011B, 0x0128, 2


def of(image: Image.Image) -> dict[str, Any]:
    """Return the entries of a decoded image's info that are kept; never its pixels, size or orientation."""
    info: dict[str, Any] = {key: value for key, value in image.info.items() if isinstance(key, str)}
    kept: dict[str, Any] = {}
    dpi = _dpi(info.get("dpi"))
    if dpi:
        kept["dpi"] = dpi
    packet = xmp.cleaned(info.get("xmp"))
    if packet:
        kept["xmp"] = packet
    if image.format in ("PNG", None):
        kept |= _colour(info) | _texts(info)
    encoding = _encoding(image)
    if encoding:
        kept[ENCODING] = encoding
    comment = info.get("comment")
    if isinstance(comment, bytes) and comment.strip(b"\0 ") and len(comment) <= LONGEST:
        kept |= {"comment": comment} if b"Steps: " not in comment and not holds_picture(comment) else {}
    return kept


def _encoding(image: Image.Image) -> dict[str, Any] | None:
    """Return the format that the image came in, and a JPEG's quantization tables and subsampling; None if unknown."""
    if image.format is None:  # a result of ours, on its way to be repainted again
        known = image.info.get(ENCODING)
        return known if isinstance(known, dict) else None
    found: dict[str, Any] = {"format": image.format}
    if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
        from PIL import JpegImagePlugin

        tables = getattr(image, "quantization", None) or {}
        sampling = JpegImagePlugin.get_sampling(image) if image.mode == "RGB" else 0
        if sampling in (0, 1, 2) and 1 <= len(tables) <= 4 and all(len(t) == 64 for t in tables.values()):
            found |= {"qtables": [list(tables[key]) for key in sorted(tables)], "subsampling": sampling}
    return found


def texts(info: dict[str, Any]) -> dict[str, str]:
    """Return the texts among the entries that `of` kept, including a JPEG's comment."""
    found = {key: value for key, value in info.items() if isinstance(key, str) and isinstance(value, str)}
    comment = info.get("comment")
    if isinstance(comment, bytes):
        found.setdefault("Comment", comment.decode("utf-8", "replace").strip("\0 "))
    return found


def without_place(kept: dict[str, Any]) -> dict[str, Any]:
    """Return the entries with GPS and place names removed from their XMP."""
    packet = xmp.without_place(kept.get("xmp"))
    return {**{k: v for k, v in kept.items() if k != "xmp"}, **({"xmp": packet} if packet else {})}


def png_chunks(kept: dict[str, Any], chunks: PngInfo | None) -> PngInfo:
    """Return `chunks` with the texts, XMP and colour chunks added."""
    from PIL.PngImagePlugin import PngInfo

    chunks = chunks or PngInfo()
    for key, value in texts(kept).items():
        chunks.add_text(key, value)
    with suppress(UnicodeDecodeError):  # the chunk holds UTF-8 only
        if "xmp" in kept:
            chunks.add_itxt("XML:com.adobe.xmp", kept["xmp"].decode("utf-8"))
    if "gamma" in kept:
        chunks.add(b"gAMA", struct.pack(">I", round(kept["gamma"] * 100_000)))
    if "chromaticity" in kept:
        chunks.add(b"cHRM", struct.pack(">8I", *(round(v * 100_000) for v in kept["chromaticity"])))
    if "srgb" in kept:
        chunks.add(b"sRGB", bytes([kept["srgb"]]))
    return chunks


def exif_with_words(block: bytes | None, kept: dict[str, Any], resolution: bool = False) -> bytes | None:
    """Return the EXIF block with the texts that have a tag of their own, for formats without text chunks.

    resolution  add the resolution too, for formats that cannot store it elsewhere
    """
    tags: dict[int, Any] = {}
    for key, value in texts(kept).items():
        if key in WORDS:
            tags.setdefault(WORDS[key], value.encode("utf-8"))
    if resolution and "dpi" in kept:
        tags |= {X_RESOLUTION: kept["dpi"][0], Y_RESOLUTION: kept["dpi"][1], UNIT: INCHES}
    return exif.with_tags(block, tags) if tags else block


def _dpi(value: Any) -> tuple[float, float] | None:
    """Return dots per inch across and down; None if missing, or 1 by 1, which only says that pixels are square."""
    try:
        x, y = (float(n) for n in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    fits = math.isfinite(x) and math.isfinite(y) and 1 < x < 100_000 and 1 < y < 100_000
    return (x, y) if fits else None


def _colour(info: dict[str, Any]) -> dict[str, Any]:
    """Return PNG's gamma, chromaticities and rendering intent, if they are plausible."""
    found: dict[str, Any] = {}
    gamma, points, intent = info.get("gamma"), info.get("chromaticity"), info.get("srgb")
    if isinstance(gamma, float) and 0 < gamma < 20_000:
        found["gamma"] = gamma
    if isinstance(points, tuple) and len(points) == 8 and all(0 <= v < 20_000 for v in points):
        found["chromaticity"] = points
    if isinstance(intent, int) and 0 <= intent <= 3:
        found["srgb"] = intent
    return found


def _texts(info: dict[str, Any]) -> dict[str, str]:
    """Return the photo's own texts, without settings of an earlier run and copies of its EXIF."""
    found: dict[str, str] = {}
    for key, value in info.items():
        if not isinstance(value, str) or key in SETTINGS or key in NO_TEXT:
            continue
        if key.startswith(HIDDEN) or "Steps: " in value or len(value) > LONGEST or len(found) >= MOST:
            continue
        if 0 < len(key) < 80 and key.isprintable() and not holds_picture(value):
            found[key] = str(value)
    return found
