"""Read LoRA files of every common kind; lora_merge.py adds them to a model's weights.

The formulas are in adapters.py, the tensors' names in lora_keys.py.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ModelError
from ..files import fingerprint
from . import adapters, lora_keys, model_spec, peft_config, weight_files
from .adapters import Adapter
from .peft_config import PeftConfig

FOLDER = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")  # as PEFT and diffusers save it
OTHERS = (  # other kinds of files: the pattern of a key, what such a file is, and what to do with it
    (r"emb_params$|string_to_param|bundle_emb", "holds a textual-inversion embedding", "Load it as an embedding."),
    (r"(model\.diffusion_model|first_stage_model|cond_stage_model|conditioner)\.", "is a whole model, not a LoRA",
     "Load it as the model."),
    (r".*(oft_|boft_)", "is an OFT adapter, which is not supported", ""),
    (r".*\.(a1|a2|b1|b2)\.weight$", "is a GLoRA, which is not supported", ""),
    (r".*vera_lambda", "is a VeRA adapter, which is not supported", ""),
    (r"lora_controlnet|.*controlnet", "is a ControlNet, which is not supported", ""),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Lora:
    """A LoRA file: its changes, {network: {flat layer name: Adapter}}, and its strength `weight`.

    The networks are unet (also a transformer), text_encoder, text_encoder_2 and t5.

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
            raise ModelError(f"{name} is not a LoRA that is known here: it has {key[:80]}.", "Choose another file.")
        _check_numbers(name, found.piece, tensor)
        if layers.setdefault(found[:2], {}).setdefault(found.piece, tensor) is not tensor:
            raise ModelError(f"{name} changes its layer {found.dotted} twice.", "Choose another file.")
        dotted[found[:2]] = found.dotted
    changes: dict[str, dict[str, Adapter]] = {network: {} for network in peft_config.NETWORKS}
    for (part, layer), pieces in layers.items():
        changes[part][layer] = _adapter(name, dotted[part, layer], pieces, configs[part])
    if not any(changes.values()):
        raise ModelError(f"{name} is not a LoRA: it changes nothing.", "Choose another file.")
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
            raise ModelError(f"{name} {description}.", advice or "Choose a LoRA.")
