"""What a UNet predicts, turned into eps; x = √ᾱ x0 + √(1-ᾱ) eps throughout."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError

KINDS = ("epsilon", "v_prediction", "sample")


def eps(kind: str, out: Tensor, x: Tensor, a: float) -> Tensor:
    """eps from eps itself, from v = √ᾱ eps - √(1-ᾱ) x0 (Salimans & Ho 2022, arXiv 2202.00512), or from x0.

    out, x [B, 4, h, w]; a is ᾱ at this timestep.
    """
    if kind == "v_prediction":
        return a**0.5 * out + (1 - a) ** 0.5 * x
    if kind == "sample":
        return (x - a**0.5 * out) / (1 - a) ** 0.5
    return out


def kind_of(config: dict[str, Any]) -> str:
    """What a model with this scheduler configuration predicts."""
    kind = config.get("prediction_type", "epsilon")
    if kind not in KINDS:
        raise ModelError(f"This model predicts {kind!r}, which is not known here.", "Use another model.")
    return kind


def alphas_cumprod(config: dict[str, Any]) -> Tensor:
    """ᾱ [T], float64, from a scheduler's configuration."""
    start, end = config.get("beta_start", 0.0001), config.get("beta_end", 0.02)  # diffusers' own defaults
    shape, T = config.get("beta_schedule", "linear"), config.get("num_train_timesteps", 1000)
    if config.get("trained_betas") is not None:
        betas = torch.tensor(config["trained_betas"], dtype=torch.float64)
    elif shape == "linear":
        betas = torch.linspace(start, end, T, dtype=torch.float64)
    elif shape == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, T, dtype=torch.float64) ** 2
    else:
        raise ModelError(f"The schedule {shape!r} is not known here.", "Use another model.")
    return (1 - betas).cumprod(0)
