"""Compute what an adapter adds to one layer's weight: LoRA, LoCon, LoHa, LoKr, DoRA, IA3 and full differences.

W is [o, i] or [o, i, k, k]; r is the rank; ∘ is the elementwise and ⊗ the Kronecker product.

    LoRA    ΔW = (alpha / r) up @ down                               Hu et al. 2021, arXiv 2106.09685
    rsLoRA  ΔW = (alpha / √r) up @ down                              Kalajdzievski 2023, arXiv 2312.03732
    LoCon   the same for convolutions; with a core, ΔW = (alpha / r) Σ up[o,m] mid[m,n,k,l] down[n,i]
    LoHa    ΔW = (alpha / r) (w1_a @ w1_b) ∘ (w2_a @ w2_b)           Hyeon-Woo et al. 2021, arXiv 2108.06098
    LoKr    ΔW = (alpha / r) w1 ⊗ w2                                 Yeh et al. 2023 (LyCORIS), arXiv 2309.14859
    DoRA    W' = m (W + ΔW) / ‖W + ΔW‖                               Liu et al. 2024, arXiv 2402.09353
    IA3     W' = W ∘ (1 + w), along the outputs or the inputs        Liu et al. 2022, arXiv 2205.05638
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MATRICES = (  # the pieces that make a change, one set for each kind
    {"down", "up"},
    {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"},
    {"lokr_w1", "lokr_w2"},
    {"lokr_w1_a", "lokr_w1_b", "lokr_w2"},
    {"lokr_w1", "lokr_w2_a", "lokr_w2_b"},
    {"lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b"},
    {"diff"},
    {"diff_b"},
    {"ia3", "on_input"},
    {"ia3_l"},
)
EXTRAS = (  # the pieces that may accompany them
    {"alpha", "scalar", "mid", "bias", "dora_scale", "magnitude", "diff_b"},
    {"alpha", "scalar", "hada_t1", "hada_t2", "dora_scale", "diff_b"},
    *[{"alpha", "scalar", "lokr_t2", "dora_scale", "diff_b"}] * 4,
    {"diff_b", "scalar"},
    set(),
    set(),
    {"on_input"},
)


@dataclass(frozen=True, eq=False)
class Adapter:
    """One layer's adapter: its tensors by name, and the factor that scales their product."""

    pieces: dict[str, Tensor]
    scale: float = 1.0

    def change(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the changes to add to a float32 weight and its bias at full strength; None for an unchanged bias."""
        p = {name: piece.to(weight.device, torch.float32) for name, piece in self.pieces.items()}
        if "ia3" in p or "ia3_l" in p:
            return _ia3(p, weight, bias)
        delta = _product(p)
        delta = torch.zeros_like(weight) if delta is None else self.scale * delta.reshape(weight.shape)
        if "dora_scale" in p or "magnitude" in p:
            delta = _decomposed(p, weight + delta) - weight
        return delta, self.scale * p["bias"] if "bias" in p else p.get("diff_b")

    def size(self) -> torch.Size | None:
        """Return the shape of the change without computing it; None if the weight does not change.

        A convolution's k × k may be flattened.  Raises RuntimeError if the pieces do not belong together.
        """
        if "ia3" in self.pieces or "ia3_l" in self.pieces:
            return None
        delta = _product({name: piece.to("meta") for name, piece in self.pieces.items()})
        return None if delta is None else delta.shape

    def fits(self, weight: Tensor, bias: Tensor | None) -> bool:
        """Return whether this can be added to a layer with this weight and bias."""
        p, size = self.pieces, self.size()
        ends = [bias is not None and p[name].shape == bias.shape for name in ("bias", "diff_b") if name in p]
        ends += [p[name].numel() == weight.shape[_axis(p, weight)] for name in ("ia3", "ia3_l") if name in p]
        ends += [p["magnitude"].numel() == len(weight)] if "magnitude" in p else []
        ends += [p["dora_scale"].numel() in weight.shape[:2]] if "dora_scale" in p else []
        return all(ends) and (size is None or (size.numel() == weight.numel() and size[0] == len(weight)))


def kind(names: set[str]) -> int | None:
    """Return which of MATRICES these tensors are, or None if they are incomplete or mixed."""
    for k, (needed, extra) in enumerate(zip(MATRICES, EXTRAS, strict=True)):
        if needed <= names <= needed | extra:
            return k
    return None


def rank(pieces: dict[str, Tensor]) -> int | None:
    """Return the rank that alpha is divided by; None where LyCORIS does not scale, as in an undivided LoKr."""
    for name in ("down", "hada_w1_b", "lokr_w2_b", "lokr_w1_b"):
        if name in pieces:
            return len(pieces[name])
    return None


def _product(p: dict[str, Tensor]) -> Tensor | None:
    """Return the unscaled change, perhaps with a convolution's k × k flattened; None for a bias alone."""
    if "down" in p:
        up = p["up"].flatten(1)
        if "mid" in p:
            product = _tucker(p["mid"], up.T, p["down"].flatten(1))
        else:
            product = torch.einsum("or,ri...->oi...", up, p["down"])
    elif "hada_w1_a" in p:
        product = _factor(p, "hada_w1", "hada_t1") * _factor(p, "hada_w2", "hada_t2")
    elif "lokr_w2" in p or "lokr_w2_a" in p:
        w1, w2 = _factor(p, "lokr_w1", ""), _factor(p, "lokr_w2", "lokr_t2")
        product = torch.kron(w1.reshape(*w1.shape, *[1] * (w2.ndim - w1.ndim)), w2.contiguous())
    elif "diff" in p:
        product = p["diff"]
    else:
        return None
    return product * p["scalar"] if "scalar" in p else product


def _factor(p: dict[str, Tensor], name: str, core: str) -> Tensor:
    """Return one factor of LoHa or LoKr: the whole matrix, a @ b, or a core with a and b at its ends."""
    if name in p:
        return p[name]
    a, b = p[f"{name}_a"], p[f"{name}_b"]
    return _tucker(p[core], a, b) if core in p else a @ b


def _tucker(core: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return Σ core[m, n, …] a[m, o] b[n, i], [o, i, …]."""
    return torch.einsum("mn...,mo,ni->oi...", core, a, b)


def _decomposed(p: dict[str, Tensor], weight: Tensor) -> Tensor:
    """Return a weight with DoRA's magnitudes: along the outputs or, if the file stores them so, along the inputs."""
    m = p["magnitude"] if "magnitude" in p else p["dora_scale"]
    along = 0 if "magnitude" in p or len(m) == len(weight) else 1  # PEFT's `magnitude` is always along the outputs
    norm = weight.transpose(0, along).flatten(1).norm(dim=1).clamp(min=torch.finfo(weight.dtype).eps)
    return weight * (m.flatten() / norm).view([-1 if k == along else 1 for k in range(weight.ndim)])


def _axis(p: dict[str, Tensor], weight: Tensor) -> int:
    """Return the dimension of the weight that IA3 scales: 0, the outputs, or 1, the inputs."""
    if "on_input" in p:
        return int(bool(p["on_input"].any()))
    learned = p["ia3_l"]  # PEFT: [1, i] or [o, 1] for a linear layer, [1, n, 1, 1] for a convolution
    if learned.ndim == 2:
        return int(learned.shape[0] == 1)
    return int(learned.numel() != len(weight))


def _ia3(p: dict[str, Tensor], weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return IA3's change of a weight and its bias; PEFT scales the bias with the outputs, LyCORIS does not."""
    axis = _axis(p, weight)
    w = p["ia3"].flatten() if "ia3" in p else p["ia3_l"].flatten() - 1
    scales_bias = "ia3_l" in p and axis == 0
    delta = weight * w.view([-1 if k == axis else 1 for k in range(weight.ndim)])
    return delta, bias * w if scales_bias and bias is not None else None
