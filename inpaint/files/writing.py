"""Write pictures as PNG, JPEG, WebP or TIFF; a file is written completely or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import InpaintError, InvalidRequest
from . import exif, metadata

if TYPE_CHECKING:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

Kept = dict[str, Any]  # what `metadata.of` keeps of a photo, and its 16-bit samples
NOTHING: Kept = {}
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
XMP_ROOM = 65_000  # bytes of XMP in a JPEG
LONGEST = {"PNG": 2**31 - 1, "JPEG": 65500, "WEBP": 16383}  # pixels a side
USUAL = 95  # quality of a JPEG or WebP unless another is asked for
LONGEST_NAME = 255  # bytes of a file's name, on all usual disks
EXIF_ROOM = {"JPEG": 65_533 - 2, "WEBP": 2**31}  # a JPEG segment holds 64 kB, its own length included


def format_of(path: str | Path, formats: dict[str, str] = FORMATS, field: str = "out", noun: str = "Pictures") -> str:
    """Return the format that the suffix stands for: PNG, JPEG, WEBP or TIFF, or one of `formats`.

    Raises InvalidRequest for any other suffix, in a sentence about `noun`.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in formats:
        raise InvalidRequest(
            field,
            f"{noun} cannot be saved as {suffix or 'a file without a suffix'}.",
            f"Use one of: {', '.join(formats)}.",
        )
    return formats[suffix]


def png(
    image: Image.Image, icc: bytes | None, block: bytes | None, chunks: PngInfo | None, kept: Kept = NOTHING
) -> bytes:
    """Return a PNG file with its colour profile, EXIF and texts, and 16 bits where the picture had them.

    Compression level 4 makes photos as small as level 6, in less time.
    """
    samples = _samples(image, kept)
    settings: dict[str, Any] = {"icc_profile": icc, "pnginfo": metadata.png_chunks(kept, chunks), "compress_level": 4}
    settings |= {key: value for key, value in (("exif", block), ("dpi", kept.get("dpi"))) if value}
    if samples is None:
        return _encode(image, "PNG", settings)
    from . import sixteen_bit

    return sixteen_bit.png(samples, _encode(image.crop((0, 0, 1, 1)), "PNG", settings))


def lossy(
    image: Image.Image,
    format: str,
    icc: bytes | None,
    block: bytes | None,
    text: str,
    quality: int | None,
    kept: Kept = NOTHING,
) -> bytes:
    """Return a JPEG (on white where it is transparent) or WebP file; `text` goes into the EXIF comment.

    Without a `quality` a JPEG gets the quantization of the photo that it was, so that it stays about as large.
    """
    from PIL import Image

    own = kept.get(metadata.ENCODING, {}) if quality is None and format == "JPEG" else {}
    quality = USUAL if quality is None else quality
    if isinstance(quality, bool) or not isinstance(quality, int) or not 1 <= quality <= 100:
        raise InvalidRequest("quality", f"quality is {quality!r}.", "Choose a whole number from 1 to 100.")
    if max(image.size) > LONGEST[format]:
        raise InvalidRequest("out", f"{format} files hold at most {LONGEST[format]} pixels a side.", "Save as PNG.")
    if format == "JPEG" and image.mode == "RGBA":
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        image = white
    settings: dict[str, Any] = {"quality": quality, "icc_profile": icc}
    if format == "JPEG":
        settings |= {"subsampling": 0 if quality >= 90 else 2, **_jpeg_metadata(kept)}
        if "qtables" in own:  # a quality beside them would scale them
            del settings["quality"]
            settings |= {key: own[key] for key in ("qtables", "subsampling")}
    else:
        settings |= {"lossless": quality == 100, **({"xmp": kept["xmp"]} if "xmp" in kept else {})}
    block = metadata.exif_with_words(block, kept, resolution=format == "WEBP")
    for own, comment in (
        (block, text),
        (None, text),
        (block, ""),
        (None, ""),
    ):  # the first that fits; settings matter most
        block = exif.with_comment(own, comment) if comment else own
        if not block or len(block) <= EXIF_ROOM[format]:
            break
    return _encode(image, format, {**settings, **({"exif": block} if block else {})})


def tiff(image: Image.Image, icc: bytes | None, block: bytes | None, text: str, kept: Kept = NOTHING) -> bytes:
    """Return a TIFF file, compressed without loss, with 16 bits where the picture had them; `text` as in `lossy`."""
    import numpy as np

    from . import tiff as tiff_file

    block = metadata.exif_with_words(block, kept)
    block = exif.with_comment(block, text) if text else block
    samples, tags = _samples(image, kept), exif.directories(block)
    if "xmp" in kept:
        tags[tiff_file.XMP] = kept["xmp"]
    pixels = np.asarray(image) if samples is None else samples
    try:
        return tiff_file.encode(pixels, tags, icc, kept.get("dpi"))
    except Exception as error:  # on malformed tags Pillow raises almost any kind of error
        raise InpaintError(f"The picture cannot be stored as TIFF: {error}.", "Save it as PNG.") from error


def _jpeg_metadata(kept: Kept) -> dict[str, Any]:
    """Return the metadata that a JPEG can hold: whole dots per inch, XMP of one segment, a comment."""
    found: dict[str, Any] = {}
    if "dpi" in kept:
        found["dpi"] = tuple(min(65_535, max(1, round(n))) for n in kept["dpi"])
    if len(kept.get("xmp", b"")) in range(1, XMP_ROOM):
        found["xmp"] = kept["xmp"]
    comment = metadata.texts(kept).get("Comment")
    if comment:
        found["comment"] = comment.encode()
    return found


def _samples(image: Image.Image, kept: Kept) -> Any:
    """Return uint16 [H, W, C] for a picture that had 16 bits, else None."""
    samples = kept.get("samples")
    if samples is None or samples.shape[:2] != image.size[::-1]:
        return None
    import numpy as np

    from . import sixteen_bit

    pixels = np.asarray(image)
    missing = pixels.shape[2] - samples.shape[2]
    if missing > 0:  # the picture had no transparency then
        samples = np.pad(samples, [(0, 0), (0, 0), (0, missing)], constant_values=sixteen_bit.FULL)
    return sixteen_bit.merged(pixels, samples[..., : pixels.shape[2]])


@contextmanager
def whole(path: Path, new: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing that appears at `path` only once it is complete, even if the process is killed.

    With `new` a file that exists already, or appears meanwhile, is never replaced: FileExistsError.
    """
    try:
        target = Path(os.path.realpath(path))  # write to the file that a link points to, not over the link
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
    """Write the bytes to the path, completely or not at all; return the path."""
    with whole(path) as file:
        file.write(data)
    return path


def write_new(path: Path, data: bytes, several: bool = False) -> Path:
    """Write the bytes under the first free one of the path's `names` and return it; no file is replaced."""
    for name in names(path, several):
        if not os.path.lexists(name):
            with suppress(FileExistsError), whole(name, new=True) as file:  # another process may just have taken it
                file.write(data)
                return name
    raise AssertionError("the names never end")


def names(path: Path, several: bool = False) -> Iterator[Path]:
    """Yield the path, name-1, name-2, …, or for `several` pictures name-1 first; long names are shortened."""
    for number in count(1 if several else 0):
        mark = f"-{number}" if number else ""
        room = LONGEST_NAME - len(os.fsencode(mark + path.suffix))
        full = os.fsencode(path.stem)
        stem = path.stem if len(full) <= room else full[:room].decode(errors="ignore")
        yield path.with_name(f"{stem}{mark}{path.suffix}")


def numbered(path: Path, number: int) -> list[Path]:
    """Return the path itself for one picture; name-1, name-2, … for several."""
    return [path] if number == 1 else list(islice(names(path, several=True), number))


def _place(part: Path, target: Path) -> None:
    """Rename the finished temporary file; raise FileExistsError if the name is taken, even at the last moment."""
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
