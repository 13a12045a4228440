"""Two things to do with a step that was kept: go on from it another way, or make a finished picture of it.

Imports torch: only the desk's thread imports this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from inpaint import InvalidRequest
from inpaint.diffusion.noise import Noise
from inpaint.diffusion.sampling import Step
from inpaint.diffusion.schedulers import sampler
from inpaint.memory.policy import within_memory
from inpaint.pipeline.job import Job


class Branch(Job):
    """A job that begins after the step `live` of an earlier one; with `at_once` it ends there too."""

    def __init__(self, painter, live, request, at_once: bool = False):
        asked = replace(request, count=1, sampler="ddim", seed=live.seed if request.seed == -1 else request.seed)
        self.live, self.at_once = live, at_once
        super().__init__(painter.model, painter.encoder, asked, painter.method(asked))
        if len(self.places) > 1:
            raise InvalidRequest(
                "islands",
                "A run over several islands has no single step to branch from.",
                "Paint one place, or switch islands off.",
            )

    def _walk(self, closeup, first, seeds, text, composite):
        if closeup.shape != tuple(self.live.x.shape[1:]):
            raise InvalidRequest(
                "mask", "This step belongs to another close-up.", "Branch with the same mask and size."
            )
        closeup.walk = partial(self.rest, closeup)
        return super()._walk(closeup, first, seeds, text, composite)

    def rest(self, closeup, seeds, text) -> Iterator[Step]:
        """The steps after `live`; a seed other than its own noises pred_x0 anew instead of going on from x."""
        request, live, noise = self.request, self.live, Noise(seeds, closeup.shape, self.model.device)
        first = noise()
        walker = sampler(
            "ddim",
            self.model,
            request.steps,
            request.strength,
            exact=request.exact_steps,
            eta=request.eta,
            noise=noise,
        )
        closeup.strategy = closeup._strategy(walker, noise if request.fresh_noise else lambda: first)
        every, walker.timesteps = walker.timesteps, [t for t in walker.timesteps if t < live.t]
        x0 = live.pred_x0[:1].to(self.model.device)
        if self.at_once or not walker.timesteps:
            yield Step(live.index, live.total, live.t, x0, x0)
            return
        done = len(every) - len(walker.timesteps)
        if seeds[0] != live.seed:
            x = walker.q_sample(x0, walker.timesteps[0], first)
        else:
            x = live.x[:1].to(self.model.device)
            for _ in range(done * (bool(request.eta) + request.fresh_noise)):
                noise()  # what the steps before drew
        for step in closeup.denoise(walker, every, x, text):
            yield replace(step, index=done + step.index, total=len(every))


@torch.no_grad()
def stream(painter, live, request, at_once: bool = False) -> Iterator[Any]:
    """Steps and a result, like `Inpainter.stream`."""
    with within_memory(painter.model):
        job = Branch(painter, live, request, at_once)
        yield from job.paint()
        job.notes.append(f"{'Stopped at' if at_once else 'Branched from'} step {live.index + 1} of seed {live.seed}.")
        yield job.result()
