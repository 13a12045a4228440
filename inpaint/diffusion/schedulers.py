"""The menu of samplers: our DDIM and diffusers' schedulers, behind the same four words.

timesteps · q_sample(x0, t, noise) · scale(x, t) · step(x, eps, t) -> (x_{t-1}, pred_x0); and `init_noise_sigma`,
what pure noise is multiplied by at the start.
"""

from __future__ import annotations

import inspect

import torch
from torch import Tensor

from . import schedule
from .sampling import DDIM

CLASSES = {  # name: (diffusers class, its extra settings)
    "euler": ("EulerDiscreteScheduler", {"timestep_spacing": "leading", "steps_offset": 1}),
    "euler a": ("EulerAncestralDiscreteScheduler", {"timestep_spacing": "leading", "steps_offset": 1}),
    "dpm++ 2m": (
        "DPMSolverMultistepScheduler",
        {"use_karras_sigmas": True, "timestep_spacing": "leading", "steps_offset": 1},
    ),
    "unipc": ("UniPCMultistepScheduler", {"timestep_spacing": "leading", "steps_offset": 1}),
    "ddpm": ("DDPMScheduler", {"clip_sample": False, "timestep_spacing": "leading", "steps_offset": 1}),
    "lcm": ("LCMScheduler", {}),
}


def sampler(name: str, model, steps: int, strength: float, *, exact: bool = False, eta: float = 0.0, noise=None):
    """The sampler called `name`, ready to walk `model`'s schedule from where `strength` begins."""
    T = len(model.alphas_cumprod)
    total, run = schedule.walk(steps, strength, exact, T)
    if name == "ddim":
        every = schedule.timesteps(total, T)
        return DDIM(model.alphas_cumprod, every[:run][::-1], T // total, eta, noise)
    import diffusers

    cls, settings = CLASSES[name]
    settings = {**model.schedule, **settings}
    if name == "lcm":
        settings["original_inference_steps"] = max(50, total)
    return Diffusers(getattr(diffusers, cls)(**settings), total, run, noise)


class Diffusers:
    """Any first-order-per-call diffusers scheduler.  It is always told eps: the UNet's door has converted v."""

    def __init__(self, scheduler, steps: int, run: int, noise=None):
        scheduler.set_timesteps(steps)
        start = len(scheduler.timesteps) - run
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(start)
        self.scheduler, self.timesteps = scheduler, scheduler.timesteps[start:].tolist()
        self.init_noise_sigma = float(scheduler.init_noise_sigma)
        random = "generator" in inspect.signature(scheduler.step).parameters and noise is not None
        self.settings = {"generator": noise.generators} if random else {}

    def q_sample(self, x0: Tensor, t: float, noise: Tensor) -> Tensor:
        return self.scheduler.add_noise(x0, noise, torch.as_tensor([t]))

    def scale(self, x: Tensor, t: float) -> Tensor:
        return self.scheduler.scale_model_input(x, t)

    def step(self, x: Tensor, eps: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """x_t -> (x_{t-1}, pred_x0)"""
        one, zero = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
        alpha, sigma = self.q_sample(one, t, zero), self.q_sample(zero, t, one)  # ask it how it noises
        pred_x0 = (x - sigma.to(x) * eps) / alpha.to(x)
        return self.scheduler.step(eps, t, x, **self.settings).prev_sample, pred_x0
