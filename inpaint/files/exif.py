"""Read and write EXIF blocks: apply the orientation, remove hidden copies of the photo and GPS, store a comment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

from .embedded import holds_picture

if TYPE_CHECKING:
    import numpy as np

PREFIX = b"Exif\0\0"
GPS, DETAILS, COMMENT = 0x8825, 0x8769, 0x9286
ORIENTATION, SHARED, IFD1 = 0x0112, 0xA005, 1  # tags, and the directory that holds a thumbnail
SUB = (DETAILS, GPS)  # the directories of exposure and place
# Tags in which cameras and programs keep a copy of the photo; it would show what was removed:
HIDDEN = {0x014A, 0x02BC, 0x501B, 0x8649, 0x935C, 0xC634}  # SubIFDs, XMP, thumbnail, Photoshop's two, DNG's private
HIDDEN_DETAILS = {0x927C, SHARED}  # MakerNote, and a directory of layouts
WORDS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)  # what, maker, model, software, date, artist, rights
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation that browsers apply, 1 to 8; 1 is upright.

    Browsers ignore XMP, and the EXIF of a WebP too; Pillow's own `getexif` reads both.  Browsers show no TIFF; Pillow
    turns one while decoding it, so call this before.
    """
    try:
        if image.format == "WEBP":
            return 1
        if image.format == "TIFF":
            value = image.getexif().get(ORIENTATION, 1)
        else:
            exif = _load(image.info.get("exif"))
            value = 1 if exif is None else exif.get(ORIENTATION, 1)
    except Exception:  # on a malformed block Pillow raises almost any kind of error
        return 1
    return value if value in TURNS else 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Return the decoded image upright; unchanged if it is upright already, or Pillow has turned it."""
    return image.transpose(TURNS[orientation]) if orientation in TURNS and image.format != "TIFF" else image


def turned_samples(samples: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an array [H, W, C] as `turned` turns an image."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return samples[:, ::-1] if orientation in (2, 3, 6, 7) else samples


def exif_of(image: Image.Image) -> bytes | None:
    """Return the image's EXIF block without the orientation, which is applied, and hidden copies of the photo.

    `image` is as it came from the file.  A block with neither is returned unchanged; None if it cannot be read.  Most
    tags of a TIFF describe the file's own layout, so only its texts are kept.
    """
    try:
        block, exif = image.info.get("exif"), image.getexif()
        if not len(exif):
            return None
        directories = {directory: exif.get_ifd(directory) for directory in SUB}
        every = [*exif.values(), *(value for found in directories.values() for value in found.values())]
        known = HIDDEN & set(exif) or HIDDEN_DETAILS & set(directories[DETAILS]) or exif.get_ifd(IFD1)
        hides = bool(known) or any(map(holds_picture, every))
        if block and ORIENTATION not in exif and not hides:
            return block if block.startswith(PREFIX) else PREFIX + block
        kept = Image.Exif()
        for tag, value in exif.items():
            if tag not in (ORIENTATION, *SUB, *HIDDEN) and (block or tag in WORDS) and not holds_picture(value):
                kept[tag] = value
        for directory, found in directories.items():
            values = {tag: v for tag, v in found.items() if tag not in HIDDEN_DETAILS and not holds_picture(v)}
            if values:
                kept.get_ifd(directory).update(values)
        return kept.tobytes() if len(kept) or any(kept.get_ifd(directory) for directory in SUB) else None
    except Exception:  # as above
        return None


def with_tags(block: bytes | None, tags: dict[int, Any]) -> bytes | None:
    """Add these tags to the EXIF block where it lacks them; return it unchanged if that cannot be written."""
    exif = _load(block) or Image.Exif()
    for tag, value in tags.items():
        if tag not in exif:
            exif[tag] = value
    return _bytes(exif) or block


def directories(block: bytes | None) -> dict[int, Any]:
    """Return the block's tags for a TIFF: its texts, and its directories as dicts."""
    exif = _load(block)
    if exif is None:
        return {}
    found: dict[int, Any] = {tag: exif[tag] for tag in WORDS if tag in exif}
    return found | {tag: values for tag in SUB if (values := exif.get_ifd(tag))}


def without_gps(block: bytes | None) -> bytes | None:
    """Remove the GPS position from the EXIF block; None if it cannot be read, so that no position can hide in it."""
    exif = _load(block)
    if exif is None:
        return None
    if GPS in exif:
        del exif[GPS]
    return _bytes(exif)


def without_settings(block: bytes | None) -> bytes | None:
    """Remove the comment with settings that this program or another has left in the block."""
    exif = _load(block)
    if exif is None or "Steps: " not in comment(block):
        return block
    del exif.get_ifd(DETAILS)[COMMENT]
    return _bytes(exif)


def with_comment(block: bytes | None, text: str) -> bytes:
    """Return the EXIF block with `text` as its UserComment, written as Stable Diffusion tools do; no thumbnail."""
    comment = b"UNICODE\0" + text.encode("utf-16-be", "replace")
    for exif in (_load(block), Image.Exif()):  # if the block is broken, a new one is begun
        written = _bytes(exif, comment) if exif is not None else None  # `is not None`: an empty Exif is false
        if written:
            return written
    raise AssertionError("an empty EXIF block takes a comment")


def comment(block: bytes | None) -> str:
    """Return the UserComment, or "": UNICODE in either byte order, ASCII, or UTF-8 without a prefix."""
    exif = _load(block)
    try:
        raw = exif.get_ifd(DETAILS).get(COMMENT, b"") if exif is not None else b""
    except Exception:  # as above
        return ""
    if isinstance(raw, str):
        return raw
    if not isinstance(raw, bytes):
        return ""
    if raw.startswith(b"UNICODE\0"):
        raw = raw[8:]
        big = raw[0::2].count(0) >= raw[1::2].count(0)  # it holds "Steps: ", whose high bytes are 0
        return raw.decode("utf-16-be" if big else "utf-16-le", "replace")
    return raw.removeprefix(b"ASCII\0\0\0").decode("utf-8", "replace").strip("\0 ")


def _load(block: bytes | None):
    if not block:
        return None
    exif = Image.Exif()
    try:
        exif.load(block if block.startswith(PREFIX) else PREFIX + block)
        return exif
    except Exception:  # as above
        return None


def _bytes(exif, comment: bytes | None = None) -> bytes | None:
    try:
        if comment is not None:
            exif.get_ifd(DETAILS)[COMMENT] = comment
        return exif.tobytes()
    except Exception:  # as above
        return None
