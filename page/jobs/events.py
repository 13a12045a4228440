"""Define the events of a job, in order: waiting, loading, previews, results; or stopped, or failed.

Handlers match them by type.  On ZeroGPU they come from another process, so each can be pickled.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .kept_steps import KeptStep, jpeg

if TYPE_CHECKING:
    from PIL import Image

    from inpaint import InpaintError, Result, Step
    from inpaint.pixels.mask import SparseMask


@dataclass(frozen=True, slots=True)
class Waiting:
    """The job is queued; `position` jobs are ahead of it, the running one included."""

    position: int


@dataclass(frozen=True, slots=True)
class Loading:
    """The model is being loaded; `megabytes` of it have been downloaded so far."""

    model: str
    megabytes: int = 0


@dataclass(frozen=True, slots=True)
class Filling:
    """The hole is being filled from its surroundings, before the first step.

    jpeg     a small picture of the whole so far; None if it is the same as before
    painted  the part of the picture that is being filled; it comes with the picture
    """

    jpeg: bytes | None = None
    painted: SparseMask | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """One denoising step; `index` and `total` count the steps of the whole job.

    seconds  since the job began
    jpeg     a small picture of the step, at most five times a second, else None
    kept     the step itself while its model is loaded; None if it belongs to another process (ZeroGPU)
    """

    index: int
    total: int
    seconds: float
    jpeg: bytes | None
    kept: KeptStep | None = None

    @property
    def step(self) -> Step | None:
        """Return the step, to show it again or to continue from it; None once its model is unloaded."""
        return self.kept.step if self.kept else None

    @property
    def has_picture(self) -> bool:
        """Return whether `picture` and `data` can be shown."""
        return self.jpeg is not None or self.kept is not None

    def data(self) -> bytes:
        """Return a small JPEG of the step."""
        return self.jpeg or (self.kept.jpeg() if self.kept else b"")

    def picture(self) -> Image.Image:
        """Return the step as RGB in sRGB, at most 512 px long, without JPEG losses while its model is loaded."""
        from PIL import Image

        return self.kept.picture() if self.kept else Image.open(io.BytesIO(self.data())).convert("RGB")


@dataclass(frozen=True, slots=True)
class Finished:
    """One request is done."""

    result: Result


@dataclass(frozen=True, slots=True)
class Failed:
    """The job ended with this error, sent as an event because ZeroGPU drops the sentence of a raised error."""

    error: InpaintError


@dataclass(frozen=True, slots=True)
class Stopped:
    """The job was cancelled, in the queue or within one step."""


Event = Waiting | Loading | Filling | Preview | Finished | Failed | Stopped

__all__ = ["Event", "Failed", "Filling", "Finished", "Loading", "Preview", "Stopped", "Waiting", "jpeg"]
