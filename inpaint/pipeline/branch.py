"""Continue from a kept step with other settings, or turn it into a finished picture at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from ..errors import InvalidRequest
from ..request import Request
from .scene import Scene
from .step import Step

WALK_FIELDS = ("article", "sampler", "spacing", "steps", "strength", "exact_steps")  # which decide the timesteps


@dataclass(frozen=True, slots=True)
class Branch:
    """The kept `step` that a run continues from; with `finish` no further step is made."""

    step: Step
    finish: bool = False

    def asked(self, request: Request) -> Request:
        """Return the request for this one picture, with the step's seed unless the request gives another."""
        return replace(request, count=1, seed=self.step.seed if request.seed is None else request.seed % 2**32)

    def check(self, scene: Scene) -> None:
        """Raise InvalidRequest if the step does not fit this scene."""
        if self.step.scene.request.article != scene.request.article:
            raise InvalidRequest(
                "article",
                "This step was made with another setting of the option “article”.",
                "Set it as it was for that step.",
            )
        if (self.step.scene.crop, self.step.scene.shape) != (scene.crop, scene.shape):
            raise InvalidRequest(
                "mask", "This step belongs to another close-up.", "Branch with the same mask and size."
            )

    def same_walk(self, request: Request) -> bool:
        """Return whether the request walks the same timesteps as the step's run."""
        before = self.step.scene.request
        return all(getattr(before, name) == getattr(request, name) for name in WALK_FIELDS)

    def next(self, timesteps: list, request: Request) -> int:
        """Return the index of the first timestep that is still to be walked."""
        if self.same_walk(request):
            return self.step.index % len(timesteps) + 1  # not by t: timesteps may repeat
        return sum(t >= self.step.t for t in timesteps)

    def eps(self, level: tuple[float, float]) -> Tensor:
        """Return the noise that the network saw in the step, [1, 4, h, w]; `level` is (alpha, sigma) there."""
        alpha, sigma = level
        return (self.step.seen[:1] - alpha * self.step.pred_x0[:1]) / sigma

    def note(self) -> str:
        """Return the report's note that says which step the picture started from."""
        done = "Stopped at" if self.finish else "Branched from"
        return f"{done} step {self.step.index + 1} of seed {self.step.seed}."
