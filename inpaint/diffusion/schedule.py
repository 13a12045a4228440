"""Compute a model's noise levels, and which of its timesteps are walked: how many, how far apart, from where."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..errors import InvalidRequest, ModelError
from .prediction import FLOW as FLOW_KIND

if TYPE_CHECKING:
    from torch import Tensor

BETAS = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "trained_betas", "rescale_betas_zero_snr")
DEFAULTS: dict[str, Any] = {
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "num_train_timesteps": 1000,
}
FLOW = (
    "num_train_timesteps",
    "shift",
    "use_dynamic_shifting",
    "base_shift",
    "max_shift",
    "base_image_seq_len",
    "max_image_seq_len",
    "shift_terminal",
    "time_shift_type",
    "use_karras_sigmas",
    "use_exponential_sigmas",
)  # settings of a flow's scheduler
EVEN = "even_sigmas"  # set by a family whose sigmas are 1, 1 - 1/n … 1/n before they are shifted
KEYS = (*BETAS, "timestep_spacing", "set_alpha_to_one", "prediction_type", EVEN, *FLOW)  # all settings that are used


def alphas_cumprod(config: dict[str, Any]) -> Tensor:
    """Return ᾱ [T], float64, for diffusers' scheduler configuration; raise ModelError if the schedule is unknown.

    A flow has no ᾱ of its own; it gets the one with the same ratio of picture to noise as at σ = t / T.
    """
    import torch

    if is_flow(config):
        sigma = torch.arange(config.get("num_train_timesteps", 1000), dtype=torch.float64)
        sigma = sigma / len(sigma)
        return (1 - sigma) ** 2 / ((1 - sigma) ** 2 + sigma**2)

    config = {**DEFAULTS, **config}
    start, end, shape, T = (config[key] for key in DEFAULTS)
    if config.get("trained_betas") is not None:
        betas = torch.tensor(config["trained_betas"], dtype=torch.float64)
    elif shape == "linear":
        betas = torch.linspace(start, end, T, dtype=torch.float64)
    elif shape == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, T, dtype=torch.float64) ** 2
    else:
        raise ModelError(f"The schedule {shape!r} is unknown.", "Use another model.")
    abar = (1 - betas).cumprod(0)
    return zero_terminal_snr(abar) if config.get("rescale_betas_zero_snr") else abar


def zero_terminal_snr(abar: Tensor) -> Tensor:
    """Stretch √ᾱ [T] so that the last level is pure noise (Lin et al. 2023, arXiv 2305.08891, algorithm 1)."""
    root = abar**0.5
    return ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2


def is_flow(config: dict[str, Any]) -> bool:
    """Return whether the model is a rectified flow: x_t = (1-σ) x0 + σ noise, with σ = t / T."""
    return config.get("prediction_type") == FLOW_KIND


def level(config: dict[str, Any], abar: Tensor, t: float) -> tuple[float, float]:
    """Return (alpha, sigma) of the network's input at t, which is alpha x0 + sigma eps."""
    if is_flow(config):
        return 1 - t / len(abar), t / len(abar)
    a = float(abar[int(t)])
    return a**0.5, (1 - a) ** 0.5


def shift(config: dict[str, Any], tokens: int) -> float:
    """Return how far a flow's noise levels are shifted for a picture of this many tokens: larger pictures, more."""
    low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    least, most = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return least + (most - least) * (tokens - low) / (high - low)


def trailing(config: dict[str, Any]) -> bool:
    """Return whether walks begin at the last level: if configured so, or if that level is pure noise."""
    return config.get("timestep_spacing") == "trailing" or bool(config.get("rescale_betas_zero_snr"))


def timesteps(steps: int, T: int = 1000, spacing: str = "leading") -> list[int]:
    """Return timesteps in 0 … T-1, ascending; the walk takes them from the end.

    leading   exactly `steps` of them: 1, 1 + T//steps, …  (diffusers' DDIM with steps_offset 1)
    trailing  exactly `steps` of them, T/steps apart, up to T-1
    article   as the article's program has them, ceil(T / (T//steps)) of them; raises InvalidRequest where it crashes
    """
    if spacing != "article" and steps >= T:
        raise InvalidRequest("steps", f"This model knows {T} noise levels.", f"Choose fewer than {T} steps.")
    if spacing == "trailing":
        return [round(T - k * (T / steps)) - 1 for k in reversed(range(steps))]
    stride = T // steps
    every = range(1, T + 1, stride)
    if spacing == "leading":
        return list(every[:steps])
    if every[-1] >= T:
        raise InvalidRequest(
            "steps",
            f"The article's spacing leaves the schedule at {steps} steps.",
            "Choose a number that divides 1000, such as 20, 25 or 50.",
        )
    return list(every)


def levels(strength: float, steps: int, T: int = 1000) -> int:
    """Return how many of the T noise levels exact steps use: those below strength · T, at least one per step."""
    return min(T - 1, max(steps, round(strength * T)))


def below(strength: float, steps: int, T: int = 1000, last: bool = False) -> list[int]:
    """Return `steps` timesteps spread evenly over the levels below strength · T, ascending, for exact steps.

    With `last` they end at the highest of these levels, as in trailing spacing; otherwise they begin at 1, as in
    leading spacing.
    """
    M = levels(strength, steps, T)
    n = min(steps, M)
    return [round((k + 1) * M / n) - 1 if last else 1 + k * M // n for k in range(n)]


def runs(steps: int, strength: float, exact: bool = False, T: int = 1000) -> int:
    """Return how many steps are walked: int(strength · steps), at least 1; with `exact`, all of them.

    The product is rounded first so that 0.58 · 50 is 29.  strength is above 0: at 0 there is nothing to run.
    """
    if exact and strength < 1:
        return min(steps, T - 1)
    return max(1, math.floor(round(strength * steps, 6)))
