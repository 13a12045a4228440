"""Keep the steps of finished runs while their model is loaded; afterwards only their pictures.

A step holds tensors and, through its preview, the model.  So wherever a step is kept (in a session's film, or in an
event that waits for a slow browser), a `KeptStep` holds it, and all of them release theirs before another model is
loaded.
"""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING
from weakref import WeakSet

from PIL import Image

from .. import images

if TYPE_CHECKING:
    from inpaint import Step
    from inpaint.pipeline.filling import Filled

SIDE = 512  # long side of previews, pixels

_kept: WeakSet[KeptStep] = WeakSet()
_lock = threading.Lock()


class KeptStep:
    """A step; after `release` only its picture.

    profile  the ICC profile of the photo, whose colours the step has too; its pictures are in sRGB
    """

    def __init__(self, step: Step, profile: bytes | None = None):
        self.step: Step | None = step
        self.profile = profile
        self.index = step.index
        self._jpeg: bytes | None = None
        with _lock:
            _kept.add(self)

    def jpeg(self) -> bytes:
        """Return a small picture of the step as a JPEG file."""
        step = self.step
        return jpeg(small(step, self.profile)) if step is not None else self._jpeg or b""

    def picture(self) -> Image.Image:
        """Return a small picture of the step, RGB, without JPEG losses while its model is loaded."""
        step = self.step
        return small(step, self.profile) if step is not None else Image.open(io.BytesIO(self._jpeg or b""))

    def release(self) -> None:
        """Release the step and its model, and keep its picture."""
        if self.step is not None:
            self._jpeg = self.jpeg()
            self.step = None


def release_all() -> None:
    """Release every kept step, before their model is unloaded."""
    with _lock:
        everything = list(_kept)
    for kept in everything:
        kept.release()


def small(event: Step | Filled, profile: bytes | None) -> Image.Image:
    """Return a small picture of a step or of a fill, with its colours converted from the ICC profile to sRGB."""
    return images.in_srgb(event.preview(SIDE), profile)


def jpeg(image: Image.Image, quality: int = 80) -> bytes:
    """Return the picture as a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
