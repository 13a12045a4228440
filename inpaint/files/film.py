"""Write animations of a run, from the picture to the result, as WebP, GIF or PNG."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidRequest
from . import writing

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {".webp": "WEBP", ".gif": "GIF", ".png": "PNG", ".apng": "PNG"}
SETTINGS = {"WEBP": {"quality": 85, "method": 4}, "GIF": {}, "PNG": {"compress_level": 6}}


def save_film(path: str | Path, frames: Sequence[Image.Image], seconds: float = 4.0) -> Path:
    """Write `frames` as a looping animation of that many seconds, the last frame held longer; return its path.

    All frames are resized to the size of the last; the suffix decides the format.  Raises InvalidRequest.
    """
    target = Path(path)
    format = format_of(target)
    if not frames:
        raise InvalidRequest("film", "There are no frames for a film.", "Run at least one step.")
    if not 0.1 <= seconds <= 600:
        raise InvalidRequest("film", f"A film cannot last {seconds} seconds.", "Choose 0.1 to 600.")
    first, *rest = _alike(frames)
    file = BytesIO()
    first.save(
        file,
        format,
        save_all=True,
        append_images=rest,
        loop=0,
        duration=times(len(frames), seconds),
        **SETTINGS[format],
    )
    return writing.write(target, file.getvalue())


def format_of(path: str | Path) -> str:
    """Return WEBP, GIF or PNG by the suffix; raise InvalidRequest for any other."""
    return writing.format_of(path, FORMATS, "film", "Films")


def times(count: int, seconds: float) -> list[int]:
    """Return the milliseconds each frame is shown: multiples of 10, as GIF counts; the last one 1.5 s longer."""
    each = max(20, round(seconds * 100 / count) * 10)
    return [each] * (count - 1) + [each + 1500]


def _alike(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """Return all frames as RGB, at the size of the last one."""
    from PIL import Image

    size = frames[-1].size
    frames = [frame.convert("RGB") for frame in frames]
    return [f if f.size == size else f.resize(size, Image.Resampling.BICUBIC) for f in frames]
