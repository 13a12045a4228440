"""Files written whole or not at all, as PNG, JPEG or WebP."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..errors import InpaintError, InvalidRequest
from . import exif

if TYPE_CHECKING:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
LONGEST = {"PNG": 2**31 - 1, "JPEG": 65500, "WEBP": 16383}  # pixels a side
LONGEST_NAME = 255  # bytes of a file's name, on all usual disks
EXIF_ROOM = {"JPEG": 65_533 - 2, "WEBP": 2**31}  # a JPEG segment holds 64 kB, its own length included


def format_of(path: str | Path, formats: dict[str, str] = FORMATS, field: str = "out", what: str = "Pictures") -> str:
    """PNG, JPEG or WEBP, or what else `formats` knows, by the suffix; InvalidRequest otherwise."""
    suffix = Path(path).suffix.lower()
    if suffix not in formats:
        raise InvalidRequest(
            field,
            f"{what} cannot be saved as {suffix or 'a file without a suffix'}.",
            f"Use one of: {', '.join(formats)}.",
        )
    return formats[suffix]


def png(image: Image.Image, icc: bytes | None, block: bytes | None, chunks: PngInfo | None) -> bytes:
    """A PNG file with its colour profile, EXIF and text; level 4 is as small as 6 on photos, and sooner done."""
    settings = {"icc_profile": icc, "pnginfo": chunks, "compress_level": 4}
    return _encode(image, "PNG", {**settings, **({"exif": block} if block else {})})


def lossy(image: Image.Image, format: str, icc: bytes | None, block: bytes | None, text: str, quality: int) -> bytes:
    """A JPEG (on white where it is transparent) or WebP file; `text` goes into the EXIF comment."""
    from PIL import Image

    if isinstance(quality, bool) or not isinstance(quality, int) or not 1 <= quality <= 100:
        raise InvalidRequest("quality", f"quality is {quality!r}.", "Choose a whole number from 1 to 100.")
    if max(image.size) > LONGEST[format]:
        raise InvalidRequest("out", f"{format} files hold at most {LONGEST[format]} pixels a side.", "Save as PNG.")
    if format == "JPEG" and image.mode == "RGBA":
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    settings = {"quality": quality, "icc_profile": icc}
    settings |= {"subsampling": 0 if quality >= 90 else 2} if format == "JPEG" else {"lossless": quality == 100}
    for tried in ((block, text), (None, text), (block, ""), (None, "")):  # what fits, the settings first
        block = exif.with_comment(*tried) if tried[1] else tried[0]
        if not block or len(block) <= EXIF_ROOM[format]:
            break
    return _encode(image, format, {**settings, **({"exif": block} if block else {})})


@contextmanager
def whole(path: Path, new: bool = False) -> Iterator[BinaryIO]:
    """Open a file to write to, which stands at `path` once all is in it; a kill leaves no half of it there.

    With `new` a file that is there already, or appears meanwhile, is left alone: FileExistsError.
    """
    try:
        target = Path(os.path.realpath(path))  # a link is followed, not replaced
    except ValueError as error:  # a zero byte
        raise InpaintError(f"{str(path)!r} cannot be written.", "Choose another name.") from error
    part = target.with_name(f".inpaint-{secrets.token_hex(8)}.part")
    try:
        try:
            with open(part, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            (_place if new else os.replace)(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        if new and isinstance(error, FileExistsError):
            raise
        raise InpaintError(
            f"{path} cannot be written: {(error.strerror or str(error)).lower()}.",
            "Free some space or choose another place.",
        ) from error


def write(path: Path, data: bytes) -> Path:
    """Write the bytes to the path, whole or not at all; return the path."""
    with whole(path) as file:
        file.write(data)
    return path


def write_new(path: Path, data: bytes, several: bool = False) -> Path:
    """Write the bytes under the first of the path's `names` where nothing is, and return that; replaces no file."""
    for name in names(path, several):
        if not os.path.lexists(name):
            with suppress(FileExistsError), whole(name, new=True) as file:  # another process may have been quicker
                file.write(data)
                return name
    raise AssertionError("the names never end")


def names(path: Path, several: bool = False) -> Iterator[Path]:
    """Yield the path, name-1, name-2, …, for several pictures from name-1 on; none longer than a disk takes."""
    for number in count(1 if several else 0):
        mark = f"-{number}" if number else ""
        room = LONGEST_NAME - len(os.fsencode(mark + path.suffix))
        stem = os.fsencode(path.stem)
        stem = path.stem if len(stem) <= room else stem[:room].decode(errors="ignore")
        yield path.with_name(f"{stem}{mark}{path.suffix}")


def free_name(path: Path) -> Path:
    """Return the first of the path's `names` where nothing is."""
    return next(name for name in names(path) if not os.path.lexists(name))


def numbered(path: Path, number: int) -> list[Path]:
    """Return the path itself for one picture; name-1, name-2, … for several."""
    return [path] if number == 1 else list(islice(names(path, several=True), number))


def _place(part: Path, target: Path) -> None:
    """Give the written part its name; FileExistsError if anything is there, even what came a moment ago."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except (OSError, AttributeError):  # a disk or a system without hard links
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.replace(part, target)


def _encode(image: Image.Image, format: str, settings: dict) -> bytes:
    file = BytesIO()
    try:
        image.save(file, format, **settings)
    except (OSError, ValueError) as error:
        raise InpaintError(f"The picture cannot be stored as {format}: {error}.", "Save it as PNG.") from error
    return file.getvalue()
