"""A photo's EXIF block: the place taken out, a comment put in or read."""

from __future__ import annotations

PREFIX = b"Exif\0\0"
GPS, DETAILS, COMMENT = 0x8825, 0x8769, 0x9286


def without_gps(block: bytes | None) -> bytes | None:
    """The EXIF block without the place; None if it cannot be read, so that no place can hide in it."""
    exif = _load(block)
    if exif is None:
        return None
    if GPS in exif:
        del exif[GPS]
    return _bytes(exif)


def without_settings(block: bytes | None) -> bytes | None:
    """The block without a comment that an earlier run, ours or another tool's, has left in the photo."""
    exif = _load(block)
    if exif is None or "Steps: " not in comment(block):
        return block
    del exif.get_ifd(DETAILS)[COMMENT]
    return _bytes(exif)


def with_comment(block: bytes | None, text: str) -> bytes:
    """The EXIF block with `text` as its UserComment, written as Stable Diffusion tools do; no thumbnail."""
    from PIL import Image

    comment = b"UNICODE\0" + text.encode("utf-16-be", "replace")
    for exif in (_load(block), Image.Exif()):  # a broken block is left behind
        written = _bytes(exif, comment) if exif is not None else None  # an empty one is false
        if written:
            return written
    raise AssertionError("an empty EXIF block takes a comment")


def comment(block: bytes | None) -> str:
    """The UserComment, or "": UNICODE in either byte order, ASCII, or UTF-8 without a prefix."""
    exif = _load(block)
    try:
        raw = exif.get_ifd(DETAILS).get(COMMENT, b"") if exif is not None else b""
    except Exception:  # Pillow lets almost anything through from a block that lies about itself
        return ""
    if isinstance(raw, str):
        return raw
    if not isinstance(raw, bytes):
        return ""
    if raw.startswith(b"UNICODE\0"):
        raw = raw[8:]
        big = raw[0::2].count(0) >= raw[1::2].count(0)  # "Steps: " is in there: its high bytes are 0
        return raw.decode("utf-16-be" if big else "utf-16-le", "replace")
    return raw.removeprefix(b"ASCII\0\0\0").decode("utf-8", "replace").strip("\0 ")


def _load(block: bytes | None):
    from PIL import Image

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
