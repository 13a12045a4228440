"""The menu of samplers: our DDIM and diffusers' schedulers, all of them a `Sampler`."""

from __future__ import annotations

import inspect
from math import ceil
from typing import Any

import torch
from torch import Tensor

from . import prediction, schedule
from .protocols import Sampler
from .sampling import DDIM

CLASSES: dict[str, tuple[str, dict[str, Any]]] = {  # name: (diffusers class, its extra settings)
    "euler": ("EulerDiscreteScheduler", {}),
    "euler a": ("EulerAncestralDiscreteScheduler", {}),
    "dpm++ 2m": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "ddpm": ("DDPMScheduler", {"clip_sample": False}),
    "lcm": ("LCMScheduler", {}),
}
ETA = ("ddim",)  # the samplers that `eta` means something to


def sampler(
    name: str,
    model,
    steps: int,
    strength: float,
    *,
    exact: bool = False,
    eta: float = 0.0,
    noise=None,
    predicts: str = "epsilon",
) -> Sampler:
    """Return the sampler called `name`, ready to walk `model`'s schedule from where `strength` begins.

    predicts  what the UNet predicts: epsilon, v_prediction or sample
    """
    T, last = len(model.alphas_cumprod), schedule.trailing(model.schedule)
    run, partly = schedule.runs(steps, strength, exact, T), exact and strength < 1
    if name == "ddim":
        every = schedule.timesteps(steps, T, "trailing" if last else "leading") if not partly else []
        every = schedule.below(strength, steps, T, last) if partly else every[:run]
        final = 1.0 if model.schedule.get("set_alpha_to_one") else None
        return DDIM(model.alphas_cumprod, every[::-1], 0 if partly else T // steps, eta, noise, predicts, final)
    import diffusers

    kind, extra = CLASSES[name]
    settings = {**schedule.DEFAULTS, **{key: model.schedule[key] for key in schedule.BETAS if key in model.schedule}}
    settings |= {"timestep_spacing": _trailing(T, steps) if last else "leading", "steps_offset": 1}
    if partly:
        levels, steps = schedule.levels(strength, steps, T), run
        settings = _lowest(model.alphas_cumprod, levels) | {"timestep_spacing": _trailing(levels, run)}
    if name == "lcm":
        settings["original_inference_steps"] = settings["num_train_timesteps"] if partly else _original(T, steps)
    settings["prediction_type"] = "epsilon" if predicts == "epsilon" else "v_prediction"
    made = getattr(diffusers, kind)
    known = inspect.signature(made.__init__).parameters
    return Diffusers(made(**{k: v for k, v in settings.items() if k in known}, **extra), steps, run, noise, predicts)


def _original(T: int, steps: int) -> int:
    """Return how many steps LCM is to choose from: the 50 of its distillation, or the next division of T."""
    return next(n for n in range(max(50, steps), T + 1) if T % n == 0)


def _lowest(alphas_cumprod: Tensor, levels: int) -> dict[str, Any]:
    """Return the settings of a scheduler that knows only the lowest `levels` noise levels, in the same units."""
    kept = alphas_cumprod[:levels].double()
    before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
    return {"trained_betas": (1 - kept / before).tolist(), "num_train_timesteps": levels}


def _trailing(levels: int, steps: int) -> str:
    """Return the spacing that begins at the last level: trailing, unless diffusers miscounts such a division."""
    return "trailing" if ceil(levels / (levels / steps)) == steps else "linspace"


class Diffusers:
    """Any diffusers scheduler that calls the UNet once a step."""

    def __init__(self, scheduler, steps: int, run: int, noise=None, predicts: str = "epsilon"):
        scheduler.set_timesteps(steps)
        self.scheduler, self.predicts, self.position = scheduler, predicts, 0
        self.every = scheduler.timesteps[-run:].tolist()
        self.levels = _levels(scheduler)[-run:]
        self.init_noise_sigma = float(scheduler.init_noise_sigma)
        random = "generator" in inspect.signature(scheduler.step).parameters and noise is not None
        self.settings = {"generator": noise.generators} if random else {}
        self.start_at(0)

    @property
    def timesteps(self) -> list[float]:
        """The timesteps still to walk from where it starts, descending."""
        return self.every[self.first :]

    def start_at(self, index: int) -> None:
        """Leave out the first `index` timesteps."""
        self.first = self.position = index
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(len(self.scheduler.timesteps) - len(self.every) + index)

    def q_sample(self, x0: Tensor, t: float, noise: Tensor) -> Tensor:
        """Noise x0 to timestep t in this scheduler's own scale."""
        alpha, sigma = self._level(t)
        return alpha * x0 + sigma * noise

    def scale(self, x: Tensor, t: float) -> Tensor:
        """Return what the UNet expects to see: alpha and sigma on the unit circle, as in training."""
        return self.scheduler.scale_model_input(x, t)

    def step(self, x: Tensor, out: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """x_t -> (x_{t-1}, pred_x0)"""
        alpha, sigma = self._level(t)
        unit = (alpha**2 + sigma**2) ** 0.5
        pred_x0, eps = prediction.x0_and_eps(self.predicts, out, x / unit, (alpha / unit) ** 2)
        if self.predicts == "sample":  # some of the schedulers know only eps and v
            out = prediction.target("v_prediction", pred_x0, eps, (alpha / unit) ** 2)
        self.position += 1
        return self.scheduler.step(out, t, x, **self.settings).prev_sample, pred_x0

    def target(self, x0: Tensor, noise: Tensor, t: float) -> Tensor:
        """Return what a perfect UNet predicts where x_t is x0 noised with `noise`."""
        alpha, sigma = self._level(t)
        return prediction.target(self.predicts, x0, noise, alpha**2 / (alpha**2 + sigma**2))

    def _level(self, t: float) -> tuple[float, float]:
        """Return (alpha, sigma) at t: of the walk's own place if it is there, for Karras' timesteps may repeat."""
        here = min(self.position, len(self.every) - 1)
        return self.levels[here if self.every[here] == t else self.every.index(t)]


def _levels(scheduler) -> list[tuple[float, float]]:
    """Return (alpha, sigma) of every timestep, as the scheduler itself noises: x_t = alpha x0 + sigma noise."""
    found, one, zero = [], torch.ones(1, 1, 1, 1, dtype=torch.float64), torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    for index, t in enumerate(scheduler.timesteps):
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(index)
        found.append(tuple(float(scheduler.add_noise(x, y, t[None])) for x, y in ((one, zero), (zero, one))))
    return found
