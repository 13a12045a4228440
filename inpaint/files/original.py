"""Store the pixels of the original that differ from the result, and rebuild the original from both."""

from __future__ import annotations

import struct
from dataclasses import replace
from hashlib import blake2b
from io import BytesIO
from typing import TYPE_CHECKING, Any

from ..errors import InvalidRequest
from .picture import MAX_PIXELS, SAMPLES, Picture

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

LARGER = 400  # times the result's pixels at most: a small forged file must not ask for a huge original


def part(picture: Picture, image: Image.Image, offset: tuple[int, int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the record of how to rebuild the picture from the result `image`, and the stored parts by name.

    The part `rgb` is RGBA and lies at the record's `box` of the picture: opaque where the result differs, 0
    everywhere else.  `samples` holds the same pixels of a 16-bit picture, `alpha` its transparency if the result's
    differs.
    """
    import numpy as np
    from PIL import Image

    seen, alpha = _seen(
        image.convert("RGB"), image.getchannel("A") if image.mode == "RGBA" else None, picture.size, offset
    )
    changed = (np.asarray(seen) != np.asarray(picture.rgb)).any(-1)
    deep = _part_of(image.info.get(SAMPLES), picture.size, offset)
    if picture.samples is not None and deep is not None and deep.shape == picture.samples.shape:
        changed |= (deep != picture.samples).any(-1)  # a fill may differ in its finer bits only
    differs = Image.fromarray(changed.astype(np.uint8) * 255)
    record: dict[str, Any] = {
        "size": list(picture.size),
        "offset": list(offset),
        "box": None,
        "alpha": None,
        "digest": _digest(picture),
    }
    if picture.orientation != 1:
        record["orientation"] = picture.orientation  # a mask that lies on its side is turned by it
    stored: dict[str, Any] = {}
    box = differs.getbbox()
    if box:
        record["box"], where = list(box), differs.crop(box)
        stored["rgb"] = Image.composite(picture.rgb.crop(box).convert("RGBA"), Image.new("RGBA", where.size), where)
        if picture.samples is not None:
            left, top, right, bottom = box
            stored["samples"] = picture.samples[top:bottom, left:right] * (np.asarray(where)[..., None] > 0)
    if picture.alpha is not None:
        kept = alpha is not None and alpha.tobytes() == picture.alpha.tobytes()
        record["alpha"] = "kept" if kept else "stored"
        if not kept:
            stored["alpha"] = picture.alpha
    return record, stored


def rebuilt(record: Any, shown: Picture, parts: dict[bytes, bytes]) -> tuple[Picture, list[str]]:
    """Rebuild the original picture from the result as shown; return it and notes, or raise InvalidRequest."""
    if not isinstance(record, dict):
        raise damaged("it does not say where the original lies")
    whole, (x, y) = size(record.get("size")), _whole_numbers(record.get("offset"), 2)
    if whole[0] * whole[1] > LARGER * shown.size[0] * shown.size[1]:
        raise damaged("its sizes make no sense")
    rgb, alpha = _seen(shown.rgb, shown.alpha, whole, (x, y))
    samples = _part_of(shown.samples, whole, (x, y))
    if record.get("box") is not None:
        left, top, right, bottom = box = _whole_numbers(record["box"], 4)
        if not (0 <= left < right <= whole[0] and 0 <= top < bottom <= whole[1]):
            raise damaged("its parts do not fit together")
        patch = unpng(parts, "rgb", (right - left, bottom - top), "RGBA")
        rgb.paste(patch.convert("RGB"), box, patch.getchannel("A"))
        samples = _with_samples(samples, parts, box, patch.getchannel("A"))
    kind = record.get("alpha")
    if kind == "stored":
        alpha = unpng(parts, "alpha", whole, "L")
    elif kind is None:
        alpha = None
    elif kind != "kept" or alpha is None:
        raise damaged("its transparency is missing")
    turn = record.get("orientation", 1)
    turn = turn if type(turn) is int and 1 <= turn <= 8 else 1
    picture = replace(shown, rgb=rgb, alpha=alpha, samples=samples, orientation=turn)
    if _digest(picture) == record.get("digest"):
        return picture, []
    return picture, ["The picture was changed after it was saved, so it repeats only roughly."]


def png(image: Image.Image | np.ndarray) -> bytes:
    """Return a small PNG file of an image, or of uint16 samples [H, W, 3 or 4]."""
    if not hasattr(image, "save"):
        from . import sixteen_bit

        return sixteen_bit.bare_png(image)
    file = BytesIO()
    image.save(file, "PNG", compress_level=2)
    return file.getvalue()


def unpng(parts: dict[bytes, bytes], name: str, size: tuple[int, int], mode: str) -> Image.Image:
    """Return the stored part of this name; its size and mode are checked before it is decoded."""
    from PIL import Image

    data = parts.get(name.encode())
    if data is None:
        raise damaged(f"the {name} it should hold is missing")
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[16:24] != struct.pack(">II", *size):
        raise damaged("its parts do not fit together")
    try:
        image = Image.open(BytesIO(data), formats=["PNG"])
        image.load()
    except Exception as error:  # on a malformed file Pillow raises almost any kind of error
        raise damaged(f"the {name} in it cannot be read") from error
    if image.mode != mode or image.size != size:
        raise damaged("its parts do not fit together")
    return image.copy()  # without the file's own texts


def size(value: Any) -> tuple[int, int]:
    """Return width and height; raise InvalidRequest if they are missing or too large."""
    width, height = _whole_numbers(value, 2)
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise damaged("its sizes make no sense")
    return width, height


def _whole_numbers(value: Any, count: int) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) != count or any(type(n) is not int or abs(n) > 2**24 for n in value):
        raise damaged("its sizes make no sense")
    return tuple(value)


def _part_of(samples: np.ndarray | None, size: tuple[int, int], offset: tuple[int, int]) -> np.ndarray | None:
    """Return the 16-bit samples of the part of the result where the picture lies; None if some are missing."""
    (left, top), (width, height) = offset, size
    if samples is None or left < 0 or top < 0:
        return None
    samples = samples[top : top + height, left : left + width]
    return samples if samples.shape[:2] == (height, width) else None


def _with_samples(samples: np.ndarray | None, parts: dict[bytes, bytes], box: tuple[int, ...], opaque: Image.Image):
    """Return the samples with the stored ones put back where `opaque` is not 0; unchanged if none are stored."""
    import numpy as np

    from . import sixteen_bit

    data = parts.get(b"samples")
    if samples is None or data is None:
        return samples
    left, top, right, bottom = box
    found = sixteen_bit.from_png(data, (bottom - top, right - left, samples.shape[2]))
    if found is None:
        raise damaged("its parts do not fit together")
    samples = samples.copy()
    np.copyto(samples[top:bottom, left:right], found, where=np.asarray(opaque)[..., None] > 0)
    return samples


def _seen(rgb: Image.Image, alpha: Image.Image | None, size: tuple[int, int], offset: tuple[int, int]):
    """Return the picture's part of the result, and its alpha; black where the result does not reach."""
    box = (*offset, offset[0] + size[0], offset[1] + size[1])
    return rgb.crop(box), alpha and alpha.crop(box)


def _digest(picture: Picture) -> str:
    digest = blake2b(repr(picture.size).encode(), digest_size=16)
    digest.update(picture.rgb.tobytes())
    if picture.alpha is not None:
        digest.update(b"alpha" + picture.alpha.tobytes())
    return digest.hexdigest()


def damaged(why: str) -> InvalidRequest:
    """Return the error for a saved picture whose record cannot be used."""
    return InvalidRequest(
        "picture",
        f"This picture's settings are damaged: {why}.",
        "Open the file as it was saved, or the original photo.",
    )
