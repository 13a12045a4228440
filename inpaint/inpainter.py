"""Run requests on a loaded model: each gives a stream of steps and then one result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import torch

from .errors import InvalidRequest
from .memory.policy import within_memory
from .pipeline.article import ArticleJob
from .pipeline.branch import Branch
from .pipeline.filling import FillCache, Filled
from .pipeline.job import Job
from .pipeline.latents import LatentCache
from .pipeline.protocols import Model
from .pipeline.step import Step
from .request import Request
from .result import Result


class Inpainter:
    """A loaded model that answers one request at a time.

    `*steps, result = painter.stream(request)` keeps everything; closing the iterator cancels within one step.
    """

    def __init__(self, model: Model):
        self.model, self.encoder, self.fill_cache = model, LatentCache(model), FillCache()

    def __call__(self, request: Request, on_step: Callable[[Step], None] | None = None) -> Result:
        """Run the request and return its result; `on_step` is called with every step.  Raises InpaintError."""
        for event in self.stream(request):
            if isinstance(event, Result):
                return event
            if on_step and isinstance(event, Step):
                on_step(event)
        raise AssertionError("a run ends with its result")

    def stream(self, request: Request, fills: bool = False) -> Iterator[Filled | Step | Result]:
        """Yield every step as it is made, then the result.  Raises InpaintError.

        With `fills` the steps come after `Filled` events, which show how fill="patch" fills the hole.  Several a
        second come while it does, so that closing the iterator cancels at once.
        """
        return self._run(request, None, fills)

    def resume(self, step: Step, request: Request, finish: bool = False) -> Iterator[Filled | Step | Result]:
        """Continue from a kept step with other settings: yield the steps after it, then the result.

        The request may change the prompt, the sampler, the number of steps or the seed.  With unchanged settings the
        run continues exactly as it would have.  With `finish` no further step is made: the kept one is turned into a
        finished picture.  One picture is made, whatever the request's count.  Raises InvalidRequest if picture, mask
        or size differ from those of the step.
        """
        return self._run(request, Branch(step, finish), False)

    @torch.no_grad()
    def _run(self, request: Request, branch: Branch | None, fills: bool) -> Iterator[Filled | Step | Result]:
        with within_memory(self.model):
            unchanged = request.strength == 0 and request.picture is not None
            kind = ArticleJob if request.article and not unchanged else Job
            job = kind(self.model, self.encoder, self.fill_cache, request, self.method(request), branch)
            if not job.unchanged:
                with closing(job.paint()) as events:
                    for event in events:
                        if fills or isinstance(event, Step):
                            yield event
            yield job.result()

    def method(self, request: Request) -> str:
        """Return base or inpaint: the one requested, or for `auto` the one that suits mask, strength and model.

        Raises InvalidRequest if the model does not have the one requested.
        """
        offered = self.model.methods
        if request.method != "auto":
            if request.method in offered:
                return request.method
            raise InvalidRequest(
                "method",
                f"The model {self.model.name} has no {request.method} UNet.",
                f"Use method {offered[0]} or auto, or another model.",
            )
        if request.article:
            return "base"
        masked = request.mask is not None or request.mask_from_alpha or request.expand
        wanted = "inpaint" if masked and request.strength > 0.5 else "base"
        return wanted if wanted in offered else offered[0]
