"""Read pictures from any source into upright Pillow images, or say in one sentence why that is not possible."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from math import ceil
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from PIL import Image, UnidentifiedImageError

from ..errors import UnreadablePicture
from . import exif, metadata, other_formats, pixel_modes

if TYPE_CHECKING:
    import numpy as np

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")  # decoders only: nothing that runs a program
MAX_PIXELS = 89_000_000  # just under the size at which Pillow warns on every crop; 89 MP is a 9400 × 9400 picture
TILE_WIDTH, TILE_LENGTH = 322, 323  # TIFF's tags
SUFFIXES = (  # of files that can be opened
    *(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".avif", ".heic", ".heif"),
)
TILES = 2, 1 << 24  # a TIFF's tiles cover at most this many times its pixels, and so many more; each is decoded whole
ADVICE = "Use a PNG, JPEG, WebP, HEIC, AVIF, TIFF, GIF or BMP file."


class Opened(NamedTuple):
    """A decoded picture, with its metadata and notes."""

    image: Image.Image  # upright, of any mode; may be the caller's own, so it is copied before it is changed
    exif: bytes | None  # without orientation and thumbnail
    several: bool = False  # there were more frames or pages
    orientation: int = 1  # the EXIF orientation it was turned by
    samples: np.ndarray | None = None  # uint16 [H, W, 3 or 4] of a file with 16 bits a channel
    info: dict[str, Any] | None = None  # XMP, dpi, texts …, under Pillow's names
    notes: tuple[str, ...] = ()  # on how its numbers were read


def opened(source: Any) -> Opened:
    """Return the picture in a path, bytes, file object, array or Pillow image; raise UnreadablePicture."""
    if isinstance(source, Image.Image):
        return _decoded(source, "The picture")
    if isinstance(source, (str, os.PathLike)):
        with _file(source) as (file, name):
            return _decoded(_header(file, name), name)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decoded(_header(BytesIO(source), "The picture"), "The picture")
    if hasattr(source, "read"):
        try:
            data = source.read()
        except (OSError, ValueError) as error:
            raise UnreadablePicture("The picture's file cannot be read.", "Open it again.") from error
        if isinstance(data, bytes):
            return opened(data)
        raise UnreadablePicture("The picture's file was opened as text.", "Open it in binary mode.")
    if hasattr(source, "__array__"):
        return _from_array(source)
    raise UnreadablePicture(
        f"A picture cannot be made from {type(source).__name__}.", "Give a path, bytes, a Pillow image or an array."
    )


def identified(source: bytes | bytearray | memoryview | str | os.PathLike) -> Image.Image:
    """Open a file without decoding its pixels: its size and texts are known.  Raises UnreadablePicture."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _header(BytesIO(source), "The picture")
    with _file(source) as (file, name):
        return _header(BytesIO(file.read()), name)


def size_of(source: bytes | str | os.PathLike) -> tuple[int, int]:
    """Return the width and height in a file's header, before it is turned; raise UnreadablePicture."""
    if isinstance(source, bytes):
        return _opened(BytesIO(source), "The picture").size
    with _file(source) as (file, name):
        return _opened(file, name).size


def too_many(width: int, height: int, limit: int) -> UnreadablePicture:
    """Return the error for a picture of more than `limit` pixels."""
    return UnreadablePicture(
        f"This picture has {width * height / 1e6:.0f} megapixels; here the limit is {limit / 1e6:g}.",
        "Make it smaller.",
    )


def sound(image: Image.Image | other_formats.Foreign, name: str = "The picture") -> None:
    """Raise UnreadablePicture for a size that is zero or too large to decode safely."""
    width, height = image.size
    if not all(isinstance(side, int) for side in image.size):  # a damaged TIFF may hold several of each
        raise UnreadablePicture(f"{name} is not a picture that can be read here.", ADVICE)
    if min(width, height) < 1:
        raise UnreadablePicture(f"{name} has no pixels.", "Choose another one.")
    if width * height > MAX_PIXELS:
        raise _too_large(name, f"{width} × {height} pixels")
    if _tiled(image) > TILES[0] * width * height + TILES[1]:
        raise UnreadablePicture(f"{name} is damaged: its tiles are larger than the picture.", "Choose another file.")


def _tiled(image: Image.Image | other_formats.Foreign) -> int:
    """Return how many pixels a TIFF's tiles cover together; 0 if it has none."""
    tags = getattr(image, "tag_v2", {})
    sides = getattr(image, "tile_size", (tags.get(TILE_WIDTH), tags.get(TILE_LENGTH)))
    if not all(isinstance(side, int) and side > 0 for side in sides):
        return 0
    across, down = (ceil(whole / side) * side for whole, side in zip(image.size, sides, strict=True))
    return across * down


def _too_large(name: str, size: str) -> UnreadablePicture:
    return UnreadablePicture(
        f"{name} is too large: {size}.", f"Use at most {MAX_PIXELS // 1_000_000} million pixels."
    )


def _no_room(name: str, width: int, height: int) -> UnreadablePicture:
    return _too_large(name, f"{width} × {height} pixels do not fit into memory")


@contextmanager
def _file(path: str | os.PathLike) -> Iterator[tuple[BinaryIO, str]]:
    """Open a regular file and return it with its name for messages; UnreadablePicture if it cannot be read."""
    name = os.path.basename(os.fspath(path)) or "The picture"
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):  # reading a pipe might never end
            kind = "a folder" if stat.S_ISDIR(mode) else "not a file"
            raise UnreadablePicture(f"{name} is {kind}.", "Choose a picture file.")
        with open(path, "rb") as file:
            yield file, name
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        why = "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise UnreadablePicture(f"{name} {why}.", "Check the path.") from error


def _header(file: BinaryIO, name: str) -> Image.Image:
    """Return the file as an image of known format and size; if Pillow reads the format, it is not decoded yet."""
    found = _opened(file, name)
    if isinstance(found, Image.Image):
        return found
    sound(found, name)
    try:
        return found.decoded()
    except MemoryError as error:
        raise _no_room(name, *found.size) from error
    except Exception as error:  # each decoder has its own kinds of errors
        raise UnreadablePicture(f"{name} is damaged or cut off.", "Choose another file.") from error


def _opened(file: BinaryIO, name: str) -> Image.Image | other_formats.Foreign:
    """Open the file with Pillow or another decoder: its size is known, its pixels are not decoded."""
    if not file.read(1):
        raise UnreadablePicture(f"{name} is empty.", "Choose another file.")
    file.seek(0)
    try:
        return Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, "more pixels than can be decoded safely") from error
    except UnidentifiedImageError as error:
        file.seek(0)
        found = other_formats.foreign(file.read())
        if found is None:
            raise UnreadablePicture(f"{name} is not a picture that can be read here.", ADVICE) from error
        return found
    except Exception as error:  # on a malformed file Pillow raises almost any kind of error
        raise UnreadablePicture(f"{name} is broken.", "Choose another file.") from error


def _decoded(image: Image.Image, name: str) -> Opened:
    """Return the first frame, or the current one of an open image, turned upright."""
    sound(image, name)
    several = _several(image)  # before decoding, which closes the file; looking for frames would undo it
    orientation, samples = exif.orientation_of(image), None
    try:
        if image.format in ("PNG", "TIFF"):
            from . import sixteen_bit

            samples = sixteen_bit.read(image)
        image.load()
    except MemoryError as error:
        raise _no_room(name, *image.size) from error
    except Exception as error:  # as above; also an image opened lazily from a file that is gone
        raise UnreadablePicture(f"{name} is damaged or cut off.", "Choose another file.") from error
    if samples is not None:
        samples = exif.turned_samples(samples, orientation)
    notes = tuple(filter(None, [image.info.get(other_formats.NOTE)]))
    info = metadata.of(image)
    return Opened(
        exif.turned(pixel_modes.unsigned(image), orientation),
        exif.exif_of(image),
        several,
        orientation,
        samples,
        info,
        notes,
    )


def _several(image: Image.Image) -> bool:
    """Return whether there are several frames or pages; depth maps and previews in a phone's MPO do not count."""
    at = image.tell()
    try:
        return bool(getattr(image, "is_animated", False)) and image.format != "MPO"
    except Exception:  # a broken second frame
        with suppress(Exception):
            image.seek(at)
        return False


def _from_array(source: Any) -> Opened:
    """Return an array [H, W], or [H, W, 1, 3 or 4], of bool, 0 … 255, uint16 or float 0 … 1 as an image."""
    import numpy as np

    array = np.asarray(source)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise UnreadablePicture(
            f"An array of shape {tuple(array.shape)} is not a picture.",
            "Its shape is [height, width], with 3 or 4 colours last if it has any.",
        )
    if array.shape[0] * array.shape[1] == 0:
        raise UnreadablePicture("The picture has no pixels.", "Choose another one.")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise _too_large("The picture", f"{array.shape[1]} × {array.shape[0]} pixels")
    samples = None
    if array.dtype == np.uint16:
        from . import sixteen_bit

        samples = sixteen_bit.in_colour(array)
    return Opened(Image.fromarray(np.ascontiguousarray(_bytes(array))), None, samples=samples)


def _bytes(array: np.ndarray) -> np.ndarray:
    """Return uint8 of the same shape."""
    import numpy as np

    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise UnreadablePicture("The array contains NaN or infinity.", "Give finite numbers.")
    top = 1 if array.dtype.kind == "f" and array.max() <= 1 else 255
    if array.min() < 0 or array.max() > top:
        raise UnreadablePicture(
            f"The array's values run from {array.min():g} to {array.max():g}.",
            "Give 0 to 255, or floats from 0 to 1.",
        )
    return np.rint(array.astype(np.float32) * (255 / top)).astype(np.uint8)
