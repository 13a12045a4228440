"""LoRA files, merged into a network's weights, where they cost no time in a step.

W' = W + weight · (alpha / rank) · up @ down  (Hu et al. 2021, arXiv 2106.09685).

They are taken out by reading the network's own file again, so that every bit of it comes back.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..files import fingerprint

UP = {
    ".lora_A.weight": ".lora_B.weight",
    ".lora.down.weight": ".lora.up.weight",
    "_lora.down.weight": "_lora.up.weight",
    ".lora_linear_layer.down.weight": ".lora_linear_layer.up.weight",
}
DOWN = re.compile(f"(?P<layer>.+?)(?P<kind>{'|'.join(map(re.escape, UP))})")


class Change(NamedTuple):
    """ΔW = scale · up @ down of one layer."""

    scale: float
    up: Tensor
    down: Tensor


@dataclass(frozen=True, eq=False)
class Lora:
    """What a file changes, {"unet" and "text_encoder": {module name: Change}}, and how strongly it is wanted."""

    changes: dict[str, dict[str, Change]]
    weight: float
    stamp: str


def parse(lora: str | Path | tuple[str, float]) -> tuple[str, float]:
    """(path, weight) from "path", "path:0.8" or the pair itself."""
    path, weight = lora if isinstance(lora, (tuple, list)) else (lora, 1.0)
    head, colon, tail = str(path).rpartition(":")
    if colon and isinstance(lora, str):
        with suppress(ValueError):  # a colon of the path's own
            path, weight = head, float(tail)
    if not -10 <= weight <= 10:
        raise ModelError(f"The LoRA weight {weight} is out of range.", "Choose one from -10 to 10.")
    return str(path), float(weight)


def file(path: str) -> Path:
    """The file of this name, which must be there."""
    found = Path(path)
    with suppress(RuntimeError):  # a home directory that is not there
        found = found.expanduser()
    if not found.is_file():
        raise ModelError(f"There is no LoRA file {path}.", "Check the path.")
    return found


def read(lora: str | Path | tuple[str, float]) -> Lora:
    """The LoRA in this file, which may be in diffusers', peft's or kohya's naming."""
    from diffusers.loaders import StableDiffusionLoraLoaderMixin as Mixin
    from safetensors import SafetensorError, safe_open

    asked, strength = parse(lora)
    path = file(asked)
    name = path.name
    try:
        with safe_open(path, "pt") as opened:
            raw = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118  it is no dict
            notes = json.loads((opened.metadata() or {}).get("lora_adapter_metadata", "{}"))
        if any("dora_scale" in key or "magnitude_vector" in key for key in raw):
            raise ModelError(f"{name} is a DoRA, which is not supported.", "Choose a plain LoRA.")
        weights, alphas = Mixin.lora_state_dict(raw)
        return Lora(_changes(name, weights, alphas or {}, notes), strength, fingerprint.of_files([path]))
    except (
        SafetensorError,
        OSError,
        ValueError,
        KeyError,
        IndexError,
        AttributeError,
        TypeError,
        RuntimeError,
        OverflowError,
    ) as error:
        raise ModelError(f"{name} is no LoRA for Stable Diffusion.", "Choose another file.") from error


def _changes(name: str, weights: dict[str, Tensor], alphas: dict, notes: dict) -> dict[str, dict[str, Change]]:
    """Every weight must be understood; half a LoRA would be another one."""
    changes: dict[str, dict[str, Change]] = {"unet": {}, "text_encoder": {}}
    rest = {key for key in weights if not key.endswith(".alpha")}
    for key, down in weights.items():
        found = DOWN.fullmatch(key)
        other = found and found["layer"] + UP[found["kind"]]
        if found and other in weights:
            part, _, module = _module(found["layer"]).partition(".")
            rank = len(down)
            alpha = float(
                alphas.get(
                    f"{key}.alpha", weights.get(f"{found['layer']}.alpha", notes.get(f"{part}.lora_alpha", rank))
                )
            )
            changes.setdefault(part, {})[module] = _sound(name, Change(alpha / max(rank, 1), weights[other], down))
            rest -= {key, other}
    if rest or not any(changes.values()) or len(changes) > 2:
        raise ModelError(f"{name} is no LoRA for Stable Diffusion 1.x or 2.x.", "Choose another file.")
    return changes


def _sound(name: str, change: Change) -> Change:
    """The same change, if its two matrices belong together and hold numbers."""
    scale, up, down = change
    fits = up.ndim == down.ndim and down.ndim in (2, 4) and up.shape[1] == len(down) > 0
    if not fits or set(up.shape[2:]) - {1}:
        raise ModelError(f"The matrices in {name} do not belong together.", "Download it again.")
    if not (isfinite(scale) and all(each.is_floating_point() and each.isfinite().all() for each in (up, down))):
        raise ModelError(f"{name} holds values that are no numbers.", "Download it again.")
    return change


def _module(layer: str) -> str:
    """The network's own name for a layer that diffusers' converter named in its old way."""
    layer = layer.replace(".processor.", ".")
    if layer.startswith("text_encoder."):
        for old, new in (("to_q", "q_proj"), ("to_k", "k_proj"), ("to_v", "v_proj"), ("to_out", "out_proj")):
            layer = layer.replace(f"self_attn.{old}", f"self_attn.{new}")
        return layer
    return layer + ".0" if layer.endswith("to_out") else layer


def _product(up: Tensor, down: Tensor) -> Tensor:
    """up @ down, for linear layers [o, r] [r, i] and convolutions [o, r, 1, 1] [r, i, k, k]."""
    if down.ndim == 2:
        return up @ down
    return torch.einsum("or,rikl->oikl", up.flatten(1), down)


@torch.no_grad()
def merge(network: nn.Module, part: str, loras: list[Lora]) -> nn.Module:
    """The same network, a "unet" or a "text_encoder", with these merged into its weights."""
    modules = dict(network.named_modules())
    for lora in loras:
        for name, change in lora.changes[part].items():
            name = name if name in modules else name.removeprefix("text_model.")
            weight = getattr(modules.get(name), "weight", None)
            if weight is None or weight.numel() != len(change.up) * change.down[0].numel():  # before it is multiplied
                raise ModelError(
                    f"A LoRA does not fit this model: its layer {name} is not there.",
                    "Use it with the model it was made for.",
                )
            delta = lora.weight * change.scale * _product(change.up.float(), change.down.float())
            weight.copy_((weight.float() + delta.reshape(weight.shape)).to(weight.dtype))
    return network
