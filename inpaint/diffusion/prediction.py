"""Convert what a network predicts, eps, v or x0, into the others; x = √ᾱ x0 + √(1-ᾱ) eps throughout.

A flow's direction is no such prediction: `sampling.Flow` knows what to do with it.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..errors import ModelError

FLOW = "flow"  # v = noise - x0, along x = (1-σ) x0 + σ noise
KINDS = ("epsilon", "v_prediction", "sample", FLOW)


def x0_and_eps(kind: str, out: Tensor, x: Tensor, a: float) -> tuple[Tensor, Tensor]:
    """Turn a prediction at x into (pred_x0, eps).

    out, x [B, 4, h, w]; a is ᾱ at this timestep.  v = √ᾱ eps - √(1-ᾱ) x0 (Salimans & Ho 2022, arXiv 2202.00512)
    works even at ᾱ = 0, where x is pure noise.  eps does not: there it says nothing about x0.
    """
    if kind == "v_prediction":
        return a**0.5 * x - (1 - a) ** 0.5 * out, a**0.5 * out + (1 - a) ** 0.5 * x
    if kind == "sample":
        return out, (x - a**0.5 * out) / (1 - a) ** 0.5
    return (x - (1 - a) ** 0.5 * out) / a**0.5, out


def target(kind: str, x0: Tensor, eps: Tensor, a: float) -> Tensor:
    """Return what a perfect UNet of this kind predicts at x = √ᾱ x0 + √(1-ᾱ) eps."""
    if kind == "v_prediction":
        return a**0.5 * eps - (1 - a) ** 0.5 * x0
    return x0 if kind == "sample" else eps


def kind_of(config: dict[str, Any]) -> str:
    """Return what a model with this scheduler configuration predicts; raise ModelError if that is unknown."""
    kind = config.get("prediction_type", "epsilon")
    if kind not in KINDS:
        raise ModelError(f"This model predicts {kind!r}, which is unknown.", "Use another model.")
    return kind
