"""Store in a PNG everything that is needed to repeat the picture bit for bit, or to continue from it.

    iTXt "parameters"  the settings as Stable Diffusion tools read them
    iTXt "inpaint"     JSON: version, settings, model, report, and how the original is rebuilt
    inPX               private chunks: a name, a zero byte and a PNG file each
                       mask   the mask as it was given
                       rgb    the original's pixels, only where the result differs from it
                       alpha  the original's alpha, only if the result's is another

The original is rebuilt from the result's pixels by putting back those under the mask.  `version` is raised only when
an older program would repeat a picture wrongly; that program then refuses the file.  Fields that a program does not
know are left out, with a note.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import Field, dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

from ..errors import InvalidRequest
from . import infotext, original, reading
from .original import damaged
from .picture import Picture
from .reading import MAX_PIXELS

if TYPE_CHECKING:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

VERSION = infotext.VERSION
KEY, CHUNK = "inpaint", b"inPX"  # private, ancillary, and not to be copied by programs that change the pixels
LONGEST = 1_000_000  # characters of JSON
STRIPPED = (
    "The photo and the mask this was made from are gone: the file was saved again by another program. "
    "Its settings are here; paint or open a mask."
)


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """The contents of a saved picture: options by name, the original, the mask, the model that made it, notes."""

    settings: dict[str, Any]
    picture: Picture | None = None
    mask: Image.Image | None = None
    model: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def pack(
    settings: Mapping[str, Any],
    image: Image.Image,
    model: Mapping[str, Any],
    report: Mapping[str, Any],
    picture: Picture | None = None,
    mask: Image.Image | None = None,
    offset: tuple[int, int] = (0, 0),
    pixels: bool = True,
) -> PngInfo:
    """Return the chunks for one image; without `pixels` only the settings, nothing of what was painted over.

    offset  where the picture's upper left corner lies in the image
    """
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("parameters", infotext.write(settings, model, image.size, picture is not None, mask is not None))
    record: dict[str, Any] = {
        "version": VERSION,
        "program": infotext.PROGRAM,
        "settings": dict(settings),
        "model": dict(model),
        "report": dict(report),
    }
    if picture is None:
        record["picture"] = None
    elif pixels:
        record["picture"], stored = original.part(picture, image, offset)
        if mask is not None:
            stored["mask"], record["mask"] = mask, list(mask.size)
        for name, part in stored.items():
            info.add(CHUNK, name.encode() + b"\0" + original.png(part))
    info.add_itxt(KEY, json.dumps(record, ensure_ascii=False, allow_nan=False))
    return info


def read(source: Any, options: Mapping[str, Field], max_pixels: int = MAX_PIXELS) -> Record:
    """Read a record from a path, bytes or an opened PIL image; raise InvalidRequest if it holds no settings.

    options  the fields that settings are checked against; others are left out with a note

    If the file holds only settings (from this program or another tool), the record's picture is the file's own, there
    is no mask, and a note says so.  Raises UnreadablePicture if the picture, its photo or its mask has more pixels
    than `max_pixels`; all sizes are checked before anything is decoded.
    """
    source = _at_hand(source)
    image = _texts(source)
    record = _record(image)
    _check_sizes(image, record, max_pixels)
    shown = Picture.open(source)  # raises if the picture itself is damaged
    if record is None:
        settings, notes = infotext.of(image, options)
        return Record(settings, shown, notes=tuple(notes))
    settings, notes = _settings(record, options)
    model = _model(record)
    if "picture" not in record:
        return Record(settings, shown, None, model, (*notes, infotext.SETTINGS_ONLY))
    if record["picture"] is None:
        return Record(settings, None, None, model, tuple(notes))
    if _is_stripped(record, image):
        return Record(settings, shown, None, model, (*notes, STRIPPED))
    picture, mask, more = _original(record, shown, _parts(image))
    return Record(settings, picture, mask, model, (*notes, *more))


def model_of(source: Any) -> dict[str, Any]:
    """Return name and fingerprint of the model that made the picture, and versions; {} if they are not recorded."""
    return _model(_record(_texts(_at_hand(source))) or {})


def holds_original(source: Any) -> bool:
    """Return whether the saved picture holds the photo and mask it was made from, or was made without a photo."""
    image = _texts(_at_hand(source))
    record = _record(image)
    return record is not None and "picture" in record and not _is_stripped(record, image)


def _texts(source: Any) -> Image.Image:
    """Return the opened, not yet decoded file with its texts and chunks."""
    from PIL import Image

    if isinstance(source, Image.Image):
        return source
    if not isinstance(source, (bytes, bytearray, memoryview, str, PathLike)):  # an array, say
        raise infotext.no_settings()
    return reading.identified(source)


def _check_sizes(image: Image.Image, record: dict[str, Any] | None, max_pixels: int) -> None:
    """Raise UnreadablePicture if the picture, the photo it was made from, or its mask is too large."""
    photo = record.get("picture") if record else None
    sizes = [
        image.size,
        photo.get("size") if isinstance(photo, dict) else None,
        record.get("mask") if record else None,
    ]
    for size in filter(None, sizes):
        width, height = original.size(list(size) if isinstance(size, tuple) else size)
        if width * height > max_pixels:
            raise reading.too_many(width, height, max_pixels)


def _is_stripped(record: dict[str, Any], image: Image.Image) -> bool:
    """Return whether another program has saved the picture again without its private chunks, or resized it."""
    photo, report = record["picture"], record.get("report")
    if not isinstance(photo, dict):
        return False
    stored = record.get("mask") is not None or photo.get("box") is not None or photo.get("alpha") == "stored"
    size = report.get("size") if isinstance(report, dict) else None
    return (stored and not _parts(image)) or (size is not None and size != list(image.size))


def _parts(image: Image.Image) -> dict[bytes, bytes]:
    """Return the PNG files in our private chunks by name, the first of each name."""
    parts: dict[bytes, bytes] = {}
    for chunk in getattr(image, "private_chunks", ()):
        if chunk[0] == CHUNK:
            name, _, data = chunk[1].partition(b"\0")
            parts.setdefault(name, data)
    return parts


def _at_hand(source: Any) -> Any:
    """Return the source, or the bytes of a file object, which can be read only once."""
    return source.read() if hasattr(source, "read") else source


def _record(image: Image.Image) -> dict[str, Any] | None:
    """Return the JSON object; None if there is none, InvalidRequest if it is damaged or newer than this program."""
    text = image.info.get(KEY)
    if not isinstance(text, str):
        return None
    try:
        record = json.loads(text, parse_constant=_refuse) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise damaged("its settings cannot be read")
    version = record.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise damaged("its version cannot be read")
    if version > VERSION:
        raise InvalidRequest(
            "picture",
            "This picture's settings were written by a newer version of this program.",
            "Update the program to repeat it.",
        )
    return record


def _model(record: dict[str, Any]) -> dict[str, str]:
    model = record.get("model")
    return {str(k): v for k, v in model.items() if isinstance(v, str)} if isinstance(model, dict) else {}


def _original(
    record: dict[str, Any], shown: Picture, parts: dict[bytes, bytes]
) -> tuple[Picture, Image.Image | None, list[str]]:
    """Return the original picture, the mask and notes."""
    picture, notes = original.rebuilt(record["picture"], shown, parts)
    mask = None
    if record.get("mask") is not None:
        from .mask_file import understood  # which needs numpy

        mask = understood(original.unpng(parts, "mask", original.size(record["mask"]), "L"))
    return picture, mask, notes


def _settings(record: dict[str, Any], options: Mapping[str, Field]) -> tuple[dict[str, Any], list[str]]:
    """Return the known settings, and a note on the others."""
    found = record.get("settings")
    if not isinstance(found, dict):
        raise damaged("its settings cannot be read")
    found = infotext.renewed(found, record["version"])
    notes = [f"The setting {name[:40]} is unknown." for name in found if name not in options][:8]
    return {name: value for name, value in found.items() if name in options}, notes


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
