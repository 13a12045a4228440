"""Recognise a picture inside metadata, such as a thumbnail: it would show what was removed."""

from __future__ import annotations

SIGNS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"WEBPVP8", b"ftypheic", b"ftypavif")  # in files of pictures
LONG = 2000  # characters: a shorter text cannot hold a picture that shows much
WORD = 40  # characters: the words of base64 and hexadecimal digits are lines, longer on average than any language's


def holds_picture(value: object) -> bool:
    """Return whether bytes or a text hold a picture: a file as it is, or written in base64 or hexadecimal digits."""
    if isinstance(value, str):
        value = value.encode("latin-1", "replace")
    if not isinstance(value, bytes):
        return False
    if any(sign in value for sign in SIGNS):
        return True
    return len(value) > LONG and value.isascii() and len(value.strip(b"\0")) > WORD * len(value.split())
