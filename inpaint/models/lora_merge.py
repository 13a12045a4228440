"""Merge LoRAs into the weights of a model's networks, so that they cost no time per step.

Several are added in the order given.  To remove them, the network's own file is read again, so that every bit is as
it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from . import lora_keys, transformer_keys
from .adapters import Adapter
from .lora import Lora
from .registry import family

if TYPE_CHECKING:
    from .sources import ModelSource


def encoder(source: ModelSource, spec: Any, dtype: torch.dtype, loras: Iterable[Lora]) -> Any:
    """Read one of a model's text encoders from its ModelSource, with these LoRAs in it; None if it is left out."""
    network = source.encoder(spec, dtype)
    return None if network is None else merge(network.requires_grad_(False), spec.loras, list(loras))


@torch.no_grad()
def merge(network: Any, part: str, loras: list[Lora]) -> Any:
    """Merge these LoRAs into the weights of a "unet" or a text encoder, and return that network."""
    layers = lora_keys.modules(network, part)
    wanted: dict[tuple[str, tuple[str, ...]], list[tuple[Adapter, float]]] = {}
    for lora in loras:
        for layer, adapter in lora.changes[part].items():
            names = _fitting(lora, layer, adapter, layers, network)
            wanted.setdefault((layer, names), []).append((adapter, lora.weight))
    for (layer, names), found in wanted.items():
        weights, biases = rows(layer, [layers[name] for name in names])
        new, new_bias = torch.cat(weights).float(), torch.cat(biases).float() if biases else None
        for adapter, strength in found:
            delta, shift = adapter.change(new, new_bias)
            new = new + strength * delta
            new_bias = new_bias if new_bias is None or shift is None else new_bias + strength * shift
        _write(new, weights)
        if new_bias is not None:
            _write(new_bias, biases)
    return network


def _write(joined: Tensor, places: list[Tensor]) -> None:
    """Copy a layer's rows back to the places that they were joined from."""
    for place, value in zip(places, joined.split([len(each) for each in places]), strict=True):
        place.copy_(value)


def rows(layer: str, parts: list[nn.Module]) -> tuple[list[Tensor], list[Tensor]]:
    """Return views of the weights and biases that make up a file's layer, in the order of its rows."""
    weights: list[Tensor] = [part.get_parameter("weight") for part in parts]
    biases: list[Tensor] = [part.get_parameter("bias") for part in parts if getattr(part, "bias", None) is not None]
    if transformer_keys.swapped(layer, len(weights[0]), weights[0][0].numel()):
        return _halves(weights), _halves(biases)
    return weights, biases


def _halves(tensors: list[Tensor]) -> list[Tensor]:
    """Return views of the second half of the rows, then of the first."""
    return [half for tensor in tensors for half in reversed(tensor.chunk(2))]


def _fitting(lora: Lora, layer: str, adapter: Adapter, layers: dict[str, nn.Module], network: Any) -> tuple:
    """Return the flat names of the layers that an adapter is for; raise ModelError if it does not fit there."""
    names: tuple[str, ...] = (layer,)
    if layer not in layers and hasattr(network, "up_blocks"):
        names = (lora_keys.from_ldm(layer, network.config.layers_per_block),)
    elif layer not in layers:
        names = transformer_keys.ours(layer) or names
    if all(getattr(layers.get(name), "weight", None) is not None for name in names):
        weights, biases = rows(layer, [layers[name] for name in names])
        if adapter.fits(torch.cat(weights), torch.cat(biases) if biases else None):
            return names
    check_width([lora], network.config)
    raise ModelError(
        f"The LoRA {lora.name} does not fit this model: the layer {layer} is missing there, or has another size.",
        "Use it with the model it was made for.",
    )


def check_kind(loras: Iterable[Lora], title: str, config: Any, encoders: Iterable[str]) -> None:
    """Raise ModelError if a LoRA was made for another family.

    title, config, encoders  the family's title, its denoiser's configuration, and its text encoders by their networks
    """
    known, width = set(encoders), config.get("cross_attention_dim")
    ours = family(width) if width else title
    for lora in loras:
        kind, theirs = transformer_keys.kind(list(lora.changes["unet"])), _text_width(lora, True)
        if kind and (width or kind not in (title, transformer_keys.EITHER_OF)):
            raise _made_for(lora, kind, ours)
        if lora.changes["unet"] and not kind and not width:
            raise _made_for(lora, family(theirs) if theirs else "a UNet such as Stable Diffusion's", ours)
        if {network for network, changes in lora.changes.items() if changes} - {"unet", *known}:
            raise _made_for(lora, "Stable Diffusion XL" if width else "a model with other text encoders", ours)
    check_width(loras, config)


def check_width(loras: Iterable[Lora], config: Any) -> None:
    """Raise ModelError if a LoRA was made for another text width than that of the network's configuration."""
    ours = config.get("cross_attention_dim") if hasattr(config, "get") else getattr(config, "hidden_size", None)
    for lora in loras:
        theirs = _text_width(lora, hasattr(config, "get"))
        if theirs and isinstance(ours, int) and theirs != ours:
            raise _made_for(lora, family(theirs), family(ours))


def _made_for(lora: Lora, theirs: str, ours: str) -> ModelError:
    return ModelError(
        f"The LoRA {lora.name} does not fit this model: it is made for {theirs}, and this is {ours}.",
        "Use it with the model it was made for.",
    )


def _text_width(lora: Lora, denoiser: bool) -> int | None:
    """Return the text width of the denoiser or of the text encoder that a LoRA was made for, by its matrices."""
    ends = (("unet", "attn2_to_k"), ("unet", "attn2_to_v")) if denoiser else (("text_encoder", "self_attn_q_proj"),)
    for part, end in ends:
        for layer, adapter in lora.changes[part].items():
            size = adapter.size() if layer.endswith(end) else None
            if size:
                return size[1]
    return None
