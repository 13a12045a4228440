"""Anything that may hold a picture becomes a decoded, upright Pillow image, or one sentence why not."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image, UnidentifiedImageError

from ..errors import UnreadablePicture
from . import upright

if TYPE_CHECKING:
    import numpy as np

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")  # decoders only: nothing that runs a program
MAX_PIXELS = 89_000_000  # just under the size at which Pillow warns on every crop; 89 MP is a 9400 × 9400 picture
ADVICE = "Use a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF file."


class Opened(NamedTuple):
    """A decoded picture."""

    image: Image.Image  # upright, of any mode; may be the caller's own, so it is copied before it is changed
    exif: bytes | None  # without orientation and thumbnail
    several: bool  # there were more frames or pages


def opened(source: Any) -> Opened:
    """The picture in a path, bytes, file object, array or Pillow image; or UnreadablePicture."""
    if isinstance(source, Image.Image):
        return _decoded(source, "The picture")
    if isinstance(source, (str, os.PathLike)):
        return _read(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decoded(_identified(BytesIO(source), "The picture"), "The picture")
    if hasattr(source, "read"):
        try:
            data = source.read()
        except (OSError, ValueError) as error:
            raise UnreadablePicture("The picture's file cannot be read.", "Open it again.") from error
        if isinstance(data, bytes):
            return opened(data)
        raise UnreadablePicture("The picture's file was opened as text.", "Open it in binary mode.")
    if hasattr(source, "__array__"):
        return _decoded(_from_array(source), "The picture")
    raise UnreadablePicture(
        f"A picture cannot be made from {type(source).__name__}.", "Give a path, bytes, a Pillow image or an array."
    )


def sound(image: Image.Image, name: str = "The picture") -> None:
    """Raises UnreadablePicture for a size that is zero or too large to decode safely."""
    if min(image.size) < 1:
        raise UnreadablePicture(f"{name} has no pixels.", "Choose another one.")
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name, f"{image.width} × {image.height} pixels")


def _too_large(name: str, size: str) -> UnreadablePicture:
    return UnreadablePicture(
        f"{name} is too large: {size}.", f"Use at most {MAX_PIXELS // 1_000_000} million pixels."
    )


def _read(path: str | os.PathLike) -> Opened:
    name = os.path.basename(os.fspath(path)) or "The picture"
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):  # a pipe would never end
            what = "a folder" if stat.S_ISDIR(mode) else "not a file"
            raise UnreadablePicture(f"{name} is {what}.", "Choose a picture file.")
        with open(path, "rb") as file:
            return _decoded(_identified(file, name), name)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        why = "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise UnreadablePicture(f"{name} {why}.", "Check the path.") from error


def _identified(file, name: str) -> Image.Image:
    """The file's format and size are known, nothing is decoded yet."""
    if not file.read(1):
        raise UnreadablePicture(f"{name} is empty.", "Choose another file.")
    file.seek(0)
    try:
        return Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, "more pixels than can be decoded safely") from error
    except UnidentifiedImageError as error:
        raise UnreadablePicture(f"{name} is not a picture that can be read here.", ADVICE) from error
    except Exception as error:  # Pillow lets almost anything through from a file that lies about itself
        raise UnreadablePicture(f"{name} is broken.", "Choose another file.") from error


def _decoded(image: Image.Image, name: str) -> Opened:
    """The first frame, or the one an open image stands at, turned upright."""
    sound(image, name)
    several = _several(image)  # before it is decoded: looking for more frames may undo that, and the file closes
    try:
        image.load()
    except MemoryError as error:
        raise _too_large(name, f"{image.width} × {image.height} pixels do not fit into memory") from error
    except Exception as error:  # as above; also an image opened lazily from a file that is gone
        raise UnreadablePicture(f"{name} is damaged or cut off.", "Choose another file.") from error
    return Opened(upright.turned(image), upright.exif_of(image), several)


def _several(image: Image.Image) -> bool:
    """More than one frame or page; the depth maps and previews in a phone's MPO are not for people."""
    at = image.tell()
    try:
        return bool(getattr(image, "is_animated", False)) and image.format != "MPO"
    except Exception:  # a broken second frame
        with suppress(Exception):
            image.seek(at)
        return False


def _from_array(source: Any) -> Image.Image:
    """[H, W], [H, W, 1], [H, W, 3] or [H, W, 4]: bool, 0 … 255, uint16, or float 0 … 1."""
    import numpy as np

    array = np.asarray(source)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise UnreadablePicture(
            f"An array of shape {tuple(array.shape)} is no picture.",
            "Its shape is [height, width], with 3 or 4 colours last if it has any.",
        )
    if array.shape[0] * array.shape[1] == 0:
        raise UnreadablePicture("The picture has no pixels.", "Choose another one.")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise _too_large("The picture", f"{array.shape[1]} × {array.shape[0]} pixels")
    return Image.fromarray(np.ascontiguousarray(_bytes(array)))


def _bytes(array: np.ndarray) -> np.ndarray:
    """uint8 of the same shape."""
    import numpy as np

    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise UnreadablePicture("The array holds values that are no numbers.", "Give finite numbers.")
    top = 1 if array.dtype.kind == "f" and array.max() <= 1 else 255
    if array.min() < 0 or array.max() > top:
        raise UnreadablePicture(
            f"The array's values run from {array.min():g} to {array.max():g}.",
            "Give 0 to 255, or floats from 0 to 1.",
        )
    return np.rint(array.astype(np.float32) * (255 / top)).astype(np.uint8)
