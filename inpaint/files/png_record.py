"""The capsule in a saved PNG: everything that is needed to repeat it bit for bit, or to go on from it.

    iTXt "parameters"  the settings as Stable Diffusion tools read them
    iTXt "inpaint"     JSON: version, settings, model, report, and how the original is rebuilt
    inPX               private chunks: a name, a zero byte and a PNG file each
                       mask   the mask as it was given
                       rgb    the original's pixels, only where the result differs from it
                       alpha  the original's alpha, only if the result's is another

The original picture is the result's pixels with those under the mask put back.  `version` is raised only when an
older program would repeat a picture wrongly, and such a program refuses it; fields it does not know it leaves
out and says so.
"""

from __future__ import annotations

import json
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any

from ..errors import InvalidRequest
from ..request import Request, options
from . import infotext, original, reading
from .original import damaged
from .picture import Picture
from .reading import MAX_PIXELS

if TYPE_CHECKING:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    from ..result import Result

VERSION = 1
KEY, CHUNK = "inpaint", b"inPX"  # private, ancillary, and not to be copied by programs that change the pixels
LONGEST = 1_000_000  # characters of JSON
STRIPPED = (
    "The photo and the mask this was made from are gone: the file was saved again by another program. "
    "Its settings are here; paint or open a mask."
)


def pack(result: Result, index: int, pixels: bool = True) -> PngInfo:
    """The chunks for image `index`; without `pixels` the settings alone, nothing of what was painted over."""
    from PIL.PngImagePlugin import PngInfo

    request, image, info = result.request_of(index), result.images[index], PngInfo()
    info.add_itxt("parameters", infotext.write(request, result.model, image.size))
    record: dict[str, Any] = {
        "version": VERSION,
        "program": infotext.PROGRAM,
        "settings": request.settings(),
        "model": result.model,
        "report": result.report,
    }
    if request.picture is None:
        record["picture"] = None
    elif pixels:
        record["picture"], stored = original.part(request, image)
        if request.mask is not None:
            stored["mask"], record["mask"] = request.mask, list(request.mask.size)
        for name, part in stored.items():
            info.add(CHUNK, name.encode() + b"\0" + original.png(part))
    info.add_itxt(KEY, json.dumps(record, ensure_ascii=False, allow_nan=False))
    return info


def read(source: Any, max_pixels: int = MAX_PIXELS) -> Request:
    """Return the request that made this picture, which is a path, bytes or an opened PIL image.

    Raises InvalidRequest if it tells nothing.  A picture with settings only, ours or another tool's, becomes the
    request's picture, without a mask; a note says so.  Raises UnreadablePicture if it, its photo or its mask has more
    pixels than `max_pixels`: all sizes are compared before anything is decoded.
    """
    source = _at_hand(source)
    image = _texts(source)
    record = _record(image)
    _check_sizes(image, record, max_pixels)
    shown = Picture.open(source)  # is it a sound picture at all?
    if record is not None and "picture" in record:
        return _whole(record, shown, image)
    if record is not None:
        settings, notes = _settings(record)
        notes.append(infotext.SETTINGS_ONLY)
    else:
        settings, notes = infotext.of(image)
    return Request(picture=replace(shown, notes=(*shown.notes, *notes)), **settings)


def model_of(source: Any) -> dict[str, Any]:
    """Return name and fingerprint of the model that made the picture, and versions; {} if it does not say."""
    record = _record(_texts(_at_hand(source)))
    model = record.get("model") if record else None
    return {str(k): v for k, v in model.items() if isinstance(v, str)} if isinstance(model, dict) else {}


def holds_original(source: Any) -> bool:
    """Return whether the saved picture holds the photo and the mask it was made from, or was made without a photo."""
    image = _texts(_at_hand(source))
    record = _record(image)
    return record is not None and "picture" in record and not _is_stripped(record, image)


def _texts(source: Any) -> Image.Image:
    """Return the opened, not yet decoded file with its texts and chunks."""
    from PIL import Image

    if isinstance(source, Image.Image):
        return source
    if not isinstance(source, (bytes, bytearray, memoryview, str, PathLike)):  # an array, say
        raise infotext.silent()
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
    """Return whether a program that copies no private chunks has saved the picture again, or resized it."""
    photo, report = record["picture"], record.get("report")
    if not isinstance(photo, dict):
        return False
    stored = record.get("mask") is not None or photo.get("box") is not None or photo.get("alpha") == "stored"
    size = report.get("size") if isinstance(report, dict) else None
    return (stored and not _parts(image)) or (size is not None and size != list(image.size))


def _parts(image: Image.Image) -> dict[bytes, bytes]:
    """Return the PNG files in our private chunks by their names, the first of each name."""
    parts: dict[bytes, bytes] = {}
    for chunk in getattr(image, "private_chunks", ()):
        if chunk[0] == CHUNK:
            name, _, data = chunk[1].partition(b"\0")
            parts.setdefault(name, data)
    return parts


def _at_hand(source: Any) -> Any:
    """The same source, a file object read once."""
    return source.read() if hasattr(source, "read") else source


def _record(image: Image.Image) -> dict[str, Any] | None:
    """The JSON object; None if there is none."""
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


def _whole(record: dict[str, Any], shown: Picture, image: Image.Image) -> Request:
    """Return the request with the original picture and the mask; without them if the file has lost its parts."""
    settings, notes = _settings(record)
    if record["picture"] is None:
        return Request(**settings)
    if _is_stripped(record, image):
        return Request(picture=replace(shown, notes=(*shown.notes, *notes, STRIPPED)), **settings)
    parts = _parts(image)
    picture, more = original.rebuilt(record["picture"], shown, parts)
    mask = None
    if record.get("mask") is not None:
        mask = original.unpng(parts, "mask", original.size(record["mask"]), "L")
    return Request(picture=replace(picture, notes=(*shown.notes, *notes, *more)), mask=mask, **settings)


def _settings(record: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The settings this version knows, and a note for those it does not."""
    found, known = record.get("settings"), options()
    if not isinstance(found, dict):
        raise damaged("its settings cannot be read")
    notes = [f"The setting {name[:40]} is not known here." for name in found if name not in known][:8]
    return {name: value for name, value in found.items() if name in known}, notes


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
