"""Merge LoRA files of every common kind into a network's weights, so that they cost no time per step.

Several are added in the order given.  To remove them, the network's own file is read again, so that every bit is as
it was.  The formulas are in adapters.py, the tensors' names in lora_keys.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..files import fingerprint
from . import adapters, lora_keys, model_spec, peft_config, weight_files
from .adapters import Adapter
from .peft_config import PeftConfig
from .registry import family

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

    Network: TypeAlias = UNet2DConditionModel | CLIPTextModel

FOLDER = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")  # as PEFT and diffusers save it
OTHERS = (  # other kinds of files: the pattern of a key, what such a file is, and what to do with it
    (r"text_encoder_2\.|lora_te2_|conditioner\.|.*add_embedding", "is made for Stable Diffusion XL", ""),
    (r"transformer\.|lora_transformer_|(lora_unet_|diffusion_model\.)(double|single|joint)_blocks",
     "is made for a transformer such as Flux or Stable Diffusion 3", ""),
    (r"emb_params$|string_to_param|bundle_emb", "holds a textual-inversion embedding", "Load it as an embedding."),
    (r"(model\.diffusion_model|first_stage_model|cond_stage_model)\.", "is a whole model, not a LoRA",
     "Load it as the model."),
    (r".*(oft_|boft_)", "is an OFT adapter, which is not supported", ""),
    (r".*\.(a1|a2|b1|b2)\.weight$", "is a GLoRA, which is not supported", ""),
    (r".*vera_lambda", "is a VeRA adapter, which is not supported", ""),
    (r"lora_controlnet|.*controlnet", "is a ControlNet, which is not supported", ""),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Lora:
    """A LoRA file: its changes, {"unet" or "text_encoder": {flat layer name: Adapter}}, and its strength `weight`.

    titles  the names that may tell what it is for: its file's or folder's, and those it states itself
    """

    name: str
    changes: dict[str, dict[str, Adapter]]
    weight: float
    stamp: str
    titles: tuple[str, ...] = ()


def parse(lora: str | Path | tuple[str, float]) -> tuple[str, float]:
    """Return (path, weight) from "path", "path:0.8" or the pair itself."""
    path, weight = lora if isinstance(lora, (tuple, list)) else (lora, 1.0)
    head, colon, tail = str(path).rpartition(":")
    if colon and isinstance(lora, str):
        with suppress(ValueError):  # the colon belongs to the path
            path, weight = head, float(tail)
    if not -10 <= weight <= 10:
        raise ModelError(f"The LoRA weight {weight} is out of range.", "Choose one from -10 to 10.")
    return str(path), float(weight)


def file(path: str) -> Path:
    """Return the LoRA file at this path, or in the folder at this path; raise ModelError if there is none."""
    found = Path(path)
    with suppress(RuntimeError):  # a home directory that is not there
        found = found.expanduser()
    if found.is_dir():
        found = next((found / name for name in FOLDER if (found / name).is_file()), found)
    if not found.is_file():
        raise ModelError(f"There is no LoRA file {path}.", "Check the path.")
    return found


def read(lora: str | Path | tuple[str, float], allow_pickle: bool = False) -> Lora:
    """Read a LoRA, LoCon, LoHa, LoKr, DoRA or IA3 in kohya's, LyCORIS', diffusers' or PEFT's naming."""
    asked, strength = parse(lora)
    path = file(asked)
    with weight_files.readable(path.name):
        tensors = weight_files.tensors(path, allow_pickle)
        configs = peft_config.read(path, list(tensors))
        title = path.parent.name if path.name in FOLDER else path.stem
        titles = title, *model_spec.titles(weight_files.metadata(path))
        return Lora(path.name, _changes(path.name, tensors, configs), strength, fingerprint.of_files([path]), titles)


def _changes(name: str, tensors: dict[str, Tensor], configs: dict[str, PeftConfig]) -> dict[str, dict[str, Adapter]]:
    """Return each network's adapters; raise ModelError if any tensor is unknown, since half a LoRA would be wrong."""
    layers: dict[tuple[str, str], dict[str, Tensor]] = {}
    dotted: dict[tuple[str, str], str] = {}
    for key, tensor in tensors.items():
        found = lora_keys.place(key)
        _refuse_other_kinds(name, key)
        if found is None:
            raise ModelError(
                f"{name} is not a LoRA for Stable Diffusion 1.x or 2.x: it has {key[:80]}.", "Choose another file."
            )
        _check_numbers(name, found.piece, tensor)
        if layers.setdefault(found[:2], {}).setdefault(found.piece, tensor) is not tensor:
            raise ModelError(f"{name} changes its layer {found.dotted} twice.", "Choose another file.")
        dotted[found[:2]] = found.dotted
    changes: dict[str, dict[str, Adapter]] = {"unet": {}, "text_encoder": {}}
    for (part, layer), pieces in layers.items():
        changes[part][layer] = _adapter(name, dotted[part, layer], pieces, configs[part])
    if not any(changes.values()):
        raise ModelError(f"{name} is not a LoRA for Stable Diffusion 1.x or 2.x.", "Choose another file.")
    return changes


def _adapter(name: str, layer: str, pieces: dict[str, Tensor], config: PeftConfig) -> Adapter:
    """Return one layer's adapter, scaled by the alpha stored with its matrices or else by the one in the metadata."""
    advice = "Download it again, or choose another file."
    if set(pieces) == {"alpha"}:
        raise ModelError(f"{name} has an alpha for the layer {layer}, and no matrices that it belongs to.", advice)
    if set(pieces) == {"ia3"}:
        raise ModelError(f"{name} is not a LoRA: it holds whole weights, such as those of {layer}.", advice)
    if adapters.kind(set(pieces)) is None:
        raise ModelError(
            f"{name} is incomplete: of its layer {layer} it has only {', '.join(sorted(pieces))}.", advice
        )
    rank = adapters.rank(pieces)
    own = float(pieces["alpha"]) / rank if "alpha" in pieces and rank else 1.0
    scale = own if "alpha" in pieces else config.scale(layer, rank)
    if "ia3_l" in pieces and f".{layer}".endswith(config.inputs):
        pieces = pieces | {"on_input": torch.ones(())}
    adapter = Adapter({key: value for key, value in pieces.items() if key != "alpha"}, scale)
    try:
        adapter.size()
    except (RuntimeError, IndexError, ValueError) as error:
        raise ModelError(f"The matrices in {name} do not belong together.", "Download it again.") from error
    if not isfinite(scale) or rank == 0:
        raise ModelError(f"{name} holds invalid values.", "Download it again.")
    return adapter


def _check_numbers(name: str, piece: str, tensor: Tensor) -> None:
    """Raise ModelError for NaN or infinity, and for integers where there should be a matrix."""
    fits = tensor.is_floating_point() or piece in ("alpha", "on_input")
    if not fits or not tensor.isfinite().all():
        raise ModelError(f"{name} holds invalid values.", "Download it again.")


def _refuse_other_kinds(name: str, key: str) -> None:
    for pattern, description, advice in OTHERS:
        if re.match(pattern, key):
            raise ModelError(f"{name} {description}.", advice or "Choose a LoRA for Stable Diffusion 1.x or 2.x.")


def text_encoder(source: Any, dtype: torch.dtype, loras: Iterable[Lora]) -> CLIPTextModel:
    """Read a model's text encoder from its ModelSource, with these LoRAs in it."""
    return merge(source.text_encoder(dtype).requires_grad_(False), "text_encoder", list(loras))


@torch.no_grad()
def merge(network: Network, part: str, loras: list[Lora]) -> Network:
    """Merge these LoRAs into the weights of a "unet" or a "text_encoder", and return that network."""
    layers = lora_keys.modules(network, part)
    wanted: dict[str, list[tuple[Adapter, float]]] = {}
    for lora in loras:
        for layer, adapter in lora.changes[part].items():
            wanted.setdefault(_fitting(lora, layer, adapter, layers, network), []).append((adapter, lora.weight))
    for layer, found in wanted.items():
        weight, bias = layers[layer].get_parameter("weight"), getattr(layers[layer], "bias", None)
        new, new_bias = weight.float(), None if bias is None else bias.float()
        for adapter, strength in found:
            delta, shift = adapter.change(new, new_bias)
            new = new + strength * delta
            new_bias = new_bias if new_bias is None or shift is None else new_bias + strength * shift
        weight.copy_(new)
        if bias is not None:
            bias.copy_(new_bias)
    return network


def _fitting(lora: Lora, layer: str, adapter: Adapter, layers: dict[str, nn.Module], network: Network) -> str:
    """Return the flat name of the layer that an adapter is for; raise ModelError if it does not fit there."""
    if layer not in layers and hasattr(network, "up_blocks"):
        layer = lora_keys.from_ldm(layer, network.config.layers_per_block)
    weight = getattr(layers.get(layer), "weight", None)
    if weight is not None and adapter.fits(weight, getattr(layers[layer], "bias", None)):
        return layer
    check_width([lora], network.config)
    raise ModelError(
        f"The LoRA {lora.name} does not fit this model: the layer {layer} is missing there, or has another size.",
        "Use it with the model it was made for.",
    )


def check_width(loras: Iterable[Lora], config: Any) -> None:
    """Raise ModelError if a LoRA was made for another text width than that of the network's configuration."""
    ours = config.get("cross_attention_dim") if hasattr(config, "get") else getattr(config, "hidden_size", None)
    for lora in loras:
        theirs = _text_width(lora)
        if theirs and isinstance(ours, int) and theirs != ours:
            raise ModelError(
                f"The LoRA {lora.name} does not fit this model: it is made for {family(theirs)}, and this is "
                f"{family(ours)}.",
                "Use it with the model it was made for.",
            )


def _text_width(lora: Lora) -> int | None:
    """Return the text width of the model a LoRA was made for, by the shapes of its matrices."""
    for part, end in (("unet", "attn2_to_k"), ("unet", "attn2_to_v"), ("text_encoder", "self_attn_q_proj")):
        for layer, adapter in lora.changes[part].items():
            size = adapter.size() if layer.endswith(end) else None
            if size:
                return size[1]
    return None
