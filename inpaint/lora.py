"""LoRA files added to a model's weights, and taken out again to the bit.

W' = W + weight · (alpha / rank) · up @ down  (Hu et al. 2021, arXiv 2106.09685).

Merged into the weights they cost no time in a step.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from .errors import ModelError

UP = {".lora_A.weight": ".lora_B.weight", ".lora.down.weight": ".lora.up.weight",
      "_lora.down.weight": "_lora.up.weight", ".lora_linear_layer.down.weight": ".lora_linear_layer.up.weight"}
DOWN = re.compile(f"(?P<layer>.+?)(?P<kind>{'|'.join(map(re.escape, UP))})")


def parse(lora: str | tuple[str, float]) -> tuple[str, float]:
    """(path, weight) from "path", "path:0.8" or the pair itself."""
    path, weight = lora if isinstance(lora, tuple) else (lora, 1.0)
    head, colon, tail = str(path).rpartition(":")
    if colon and not isinstance(lora, tuple):
        with suppress(ValueError):  # a colon of the path's own
            path, weight = head, float(tail)
    if not -10 <= weight <= 10:
        raise ModelError(f"The LoRA weight {weight} is out of range.", "Choose one from -10 to 10.")
    return str(path), float(weight)


def read(path: str) -> dict[str, dict[str, Tensor]]:
    """{"unet" or "text_encoder": {module name: ΔW at weight 1}} of a file in diffusers or kohya naming."""
    if not Path(path).is_file():
        raise ModelError(f"There is no LoRA file {path}.", "Check the path.")
    from diffusers.loaders import StableDiffusionLoraLoaderMixin as Mixin
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights, alphas = Mixin.lora_state_dict(load_file(path))
    except (SafetensorError, ValueError, KeyError, IndexError) as error:
        raise ModelError(f"{Path(path).name} is no LoRA for Stable Diffusion.", "Choose another file.") from error
    deltas: dict[str, dict[str, Tensor]] = {"unet": {}, "text_encoder": {}}
    for key, down in weights.items():
        found = DOWN.fullmatch(key)
        up = weights.get(found["layer"] + UP[found["kind"]]) if found else None
        if up is not None:
            part, _, module = _module(found["layer"]).partition(".")
            alpha = (alphas or {}).get(f"{key}.alpha", len(down))
            deltas.setdefault(part, {})[module] = float(alpha) / len(down) * _product(up.float(), down.float())
    if not any(deltas.values()):
        raise ModelError(f"{Path(path).name} is no LoRA for Stable Diffusion.", "Choose another file.")
    return deltas


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


class Merged:
    """The LoRAs in one network, and the weights they replaced."""

    def __init__(self):
        self.plain: dict[str, Tensor] = {}

    def set(self, network: nn.Module, loras: list[tuple[dict[str, Tensor], float]]) -> int:
        """Exactly these are in the network afterwards; says how many layers they changed."""
        modules = dict(network.named_modules())
        with torch.no_grad():
            for name, weight in self.plain.items():
                modules[name].weight.copy_(weight)
            self.plain = {}
            for deltas, strength in loras:
                for name, delta in deltas.items():
                    self._add(modules, name, strength * delta)
        return len(self.plain)

    def _add(self, modules: dict[str, nn.Module], name: str, delta: Tensor) -> None:
        name = name if name in modules else name.removeprefix("text_model.")
        weight = getattr(modules.get(name), "weight", None)
        if weight is None or weight.numel() != delta.numel():
            raise ModelError(f"A LoRA does not fit this model: its layer {name} is not there.",
                             "Use it with the model it was made for.")
        self.plain.setdefault(name, weight.detach().to("cpu", copy=True))
        weight.copy_((weight.float() + delta.reshape(weight.shape).to(weight.device)).to(weight.dtype))
