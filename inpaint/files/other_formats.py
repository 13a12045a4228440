"""Read formats that Pillow cannot: HEIC from iPhones, and TIFF with several channels of floats."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Protocol

from PIL import Image

from ..errors import UnreadablePicture

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the first bytes of a TIFF file
NOTE = "inpaint note"  # the key in an image's info for the note on how its numbers were read


class Foreign(Protocol):
    """A file whose size is known and whose pixels are not decoded yet."""

    size: tuple[int, int]  # width and height, upright

    def decoded(self) -> Image.Image:
        """Return the pixels, upright, in one of Pillow's modes; raise whatever the decoder raises."""


def foreign(data: bytes) -> Foreign | None:
    """Return the file if it is in one of these formats; None if it is not, or is broken."""
    try:
        if data[4:8] == b"ftyp":
            return Heic(data)
        return FloatTiff(data) if data[:4] in TIFF else None
    except UnreadablePicture:
        raise
    except Exception:  # each decoder has its own kinds of errors
        return None


class Heic:
    """An iPhone's HEIC picture; libheif has turned it upright."""

    def __init__(self, data: bytes):
        try:
            import pillow_heif
        except ImportError as error:
            raise UnreadablePicture("This is a HEIC picture.", "Install pillow-heif to open it.") from error
        file = pillow_heif.open_heif(data)
        self._image = file[file.primary_index]
        self.size = self._image.size

    def decoded(self) -> Image.Image:
        from .metadata import ENCODING

        image = self._image.to_pillow()
        image.info[ENCODING] = {"format": "HEIF"}
        return image


class FloatTiff:
    """A TIFF whose kind of numbers no mode of Pillow holds; they are scaled to 8 bits by their range."""

    def __init__(self, data: bytes):
        import tifffile

        self._data = data
        with tifffile.TiffFile(BytesIO(data)) as file:
            page: Any = file.pages[0]
            self._in_planes = page.axes == "SYX"
            height, width = page.shape[1:] if self._in_planes else page.shape[:2]
            self.tile_size = page.tilewidth, page.tilelength  # 0 without tiles
        self.size = width, height

    def decoded(self) -> Image.Image:
        import tifffile

        from . import pixel_modes

        with tifffile.TiffFile(BytesIO(self._data)) as file:
            values = file.pages[0].asarray()
        levels, note = pixel_modes.scaled(values.transpose(1, 2, 0) if self._in_planes else values)
        image = Image.fromarray(levels[..., :4] if levels.ndim == 3 else levels)
        image.info[NOTE] = note
        return image
