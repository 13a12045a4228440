"""Choose a sampler: our DDIM or flow, or a solver with the timesteps and levels of one of diffusers' schedulers."""

from __future__ import annotations

import inspect
from math import ceil
from typing import Any

import torch
from torch import Tensor

from . import schedule
from .protocols import Sampler
from .sampling import DDIM, Flow
from .solvers import DDPM, LCM, TCD, DPMSolver2M, Euler, EulerAncestral, Level, Solver, UniPC

SOLVERS: dict[str, tuple[type[Solver], str, dict[str, Any]]] = {  # name: (solver, diffusers class, its settings)
    "euler": (Euler, "EulerDiscreteScheduler", {}),
    "euler a": (EulerAncestral, "EulerAncestralDiscreteScheduler", {}),
    "dpm++ 2m": (DPMSolver2M, "DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "unipc": (UniPC, "UniPCMultistepScheduler", {}),
    "ddpm": (DDPM, "DDPMScheduler", {"clip_sample": False}),
    "lcm": (LCM, "LCMScheduler", {}),
    "tcd": (TCD, "TCDScheduler", {}),
}
OWN_SPACING = ("lcm", "tcd")  # they choose among the timesteps of their training


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
    tokens: int = 0,
    spacing: str = "auto",
) -> Sampler:
    """Return the sampler called `name` for `model`'s schedule, starting at the noise level that `strength` asks for.

    predicts  what the UNet predicts: epsilon, v_prediction or sample;  tokens  those of a transformer's picture
    spacing   leading or trailing; auto is the model's own
    """
    if schedule.is_flow(model.schedule):
        return _flow(model.schedule, steps, strength, exact, tokens)
    T, last = len(model.alphas_cumprod), spacing == "trailing"
    if spacing == "auto":
        last = schedule.trailing(model.schedule)
    run, partly = schedule.runs(steps, strength, exact, T), exact and strength < 1
    if name == "ddim":
        every = schedule.timesteps(steps, T, "trailing" if last else "leading") if not partly else []
        every = schedule.below(strength, steps, T, last) if partly else every[:run]
        final = 1.0 if model.schedule.get("set_alpha_to_one") else None
        return DDIM(model.alphas_cumprod, every[::-1], 0 if partly else T // steps, eta, noise, predicts, final)
    import diffusers

    solver, kind, extra = SOLVERS[name]
    settings = {**schedule.DEFAULTS, **{key: model.schedule[key] for key in schedule.BETAS if key in model.schedule}}
    settings |= {"timestep_spacing": _trailing(T, steps) if last else "leading", "steps_offset": 1}
    if partly:
        levels, steps = schedule.levels(strength, steps, T), run
        settings = _lowest(model.alphas_cumprod, levels) | {"timestep_spacing": _trailing(levels, run)}
    if name in OWN_SPACING:
        settings["original_inference_steps"] = settings["num_train_timesteps"] if partly else _original(T, steps)
    made = getattr(diffusers, kind)
    known = inspect.signature(made.__init__).parameters
    scheduler = made(**{k: v for k, v in settings.items() if k in known}, **extra)
    scheduler.set_timesteps(steps)
    every, pairs = scheduler.timesteps[-run:].tolist(), [*_levels(scheduler)[-run:], (1.0, 0.0)]
    walker = solver(every, pairs, float(scheduler.init_noise_sigma), noise, predicts)
    if isinstance(walker, TCD):
        walker.eta, walker.abar = eta, model.alphas_cumprod.double().tolist()
    return walker


def offered(config: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the samplers that can walk this schedule: a flow is walked straight, by Euler's method."""
    return ("ddim", "euler") if schedule.is_flow(config) else ("ddim", *SOLVERS)


def _flow(config: dict[str, Any], steps: int, strength: float, exact: bool, tokens: int) -> Flow:
    """Return the walk along a flow, with the sigmas of diffusers' scheduler for a picture of so many tokens."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    scheduler = FlowMatchEulerDiscreteScheduler(**{key: config[key] for key in schedule.FLOW if key in config})
    partly, mu = exact and strength < 1, None
    if config.get("use_dynamic_shifting"):
        mu = schedule.shift(config, tokens)
    if partly or config.get(schedule.EVEN):
        highest = strength if partly else 1.0  # before the shift, as they are walked below strength 1
        scheduler.set_timesteps(sigmas=[highest * (1 - k / steps) for k in range(steps)], mu=mu)
    else:
        scheduler.set_timesteps(steps, mu=mu)
    run = steps if partly else schedule.runs(steps, strength)
    return Flow(scheduler.sigmas[:-1].double().tolist()[-run:], scheduler.config.num_train_timesteps)


def _original(T: int, steps: int) -> int:
    """Return the number of steps LCM and TCD choose from: the 50 of its distillation, or the next divisor of T."""
    return next(n for n in range(max(50, steps), T + 1) if T % n == 0)


def _lowest(alphas_cumprod: Tensor, levels: int) -> dict[str, Any]:
    """Return the settings of a scheduler limited to the lowest `levels` noise levels, in the same units."""
    kept = alphas_cumprod[:levels].double()
    before = torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
    return {"trained_betas": (1 - kept / before).tolist(), "num_train_timesteps": levels}


def _trailing(levels: int, steps: int) -> str:
    """Return the timestep spacing that begins at the last level: trailing, unless diffusers miscounts it."""
    return "trailing" if ceil(levels / (levels / steps)) == steps else "linspace"


def _levels(scheduler) -> list[Level]:
    """Return (alpha, sigma) of every timestep, as the scheduler itself adds noise: x_t = alpha x0 + sigma noise."""
    picture, noise = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64).reshape(2, 2, 1, 1, 1)
    levels = []
    for index, t in enumerate(scheduler.timesteps):
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(index)
        alpha, sigma = scheduler.add_noise(picture, noise, t.repeat(2)).flatten().tolist()
        levels.append((alpha, sigma))
    return levels
