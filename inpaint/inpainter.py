"""The conductor: a request in, steps and one result out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from .diffusion.sampling import Step
from .errors import InvalidRequest
from .memory.policy import within_memory
from .pipeline import article
from .pipeline.job import Job
from .pipeline.latents import Encoder
from .request import Request
from .result import Result


class Inpainter:
    """A loaded model that answers requests, one at a time.

    `*steps, result = painter.stream(request)` keeps everything; closing the iterator cancels within one step.
    """

    def __init__(self, model):
        self.model, self.encoder = model, Encoder(model)

    def __call__(self, request: Request, on_step: Callable[[Step], None] | None = None) -> Result:
        """The result; `on_step` is called with every step on the way."""
        for event in self.stream(request):
            if on_step and isinstance(event, Step):
                on_step(event)
        return event

    @torch.no_grad()
    def stream(self, request: Request) -> Iterator[Step | Result]:
        """Every step as it is made, then the result.  Raises InpaintError."""
        with within_memory(self.model):
            job = Job(self.model, self.encoder, request, self.method(request))
            if request.strength == 0 and request.picture is not None:
                pass  # nothing may change
            elif request.article:
                yield from article.stream(job)
            else:
                yield from job.paint()
            yield job.result()

    def method(self, request: Request) -> str:
        """base or inpaint: what was asked for, or for `auto` the one that suits mask, strength and model."""
        offered = self.model.methods
        if request.method != "auto":
            if request.method in offered:
                return request.method
            raise InvalidRequest(
                "method",
                f"The model {self.model.name} has no {request.method} UNet.",
                f"Use method {offered[0]} or auto, or another model.",
            )
        masked = request.mask is not None or request.mask_from_alpha or request.expand
        wanted = "inpaint" if masked and request.strength > 0.5 else "base"
        return wanted if wanted in offered else offered[0]
