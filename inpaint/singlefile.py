"""A model in one file, in the naming of the original ldm program; 4 or 9 channels, told by its first convolution."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import ModelError
from .folder import complete, method_of, readable

CONFIGS = Path(__file__).resolve().parent.parent / "assets" / "configs"
FIRST = "model.diffusion_model.input_blocks.0.0.weight"
CROSS = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
FAMILIES = {768: "sd15", 1024: "sd2"}  # by the width of the text the UNet attends to
MAX_HEADER = 100_000_000


class SingleFile:
    """The parts of a single-file model.

    config  a folder in diffusers' layout whose configurations and tokenizer to use; without it those of Stable
            Diffusion 1.x or 2.x, whichever the file's shapes fit.
    """

    def __init__(self, path: Path, config: Path | None = None, allow_pickle: bool = False):
        self.path, self.name, self.allow_pickle = path, path.name, allow_pickle
        if path.suffix != ".safetensors" and not allow_pickle:
            raise ModelError(f"{path.name} is a pickle, which can run programs.",
                             "Use a .safetensors file, or allow pickles if you trust it.")
        if path.suffix == ".safetensors":
            shapes = header(path)
        else:
            shapes = {name: list(tensor.shape) for name, tensor in self.tensors.items()}
        if FIRST not in shapes:
            raise ModelError(f"{path.name} is no Stable Diffusion checkpoint in ldm naming.",
                             "Choose a full checkpoint of Stable Diffusion 1.x or 2.x.")
        self.channels = shapes[FIRST][1]
        self.methods = (method_of(self.channels, self.name),)
        width = shapes.get(CROSS, [0, 0])[1]
        if config is None and width not in FAMILIES:
            raise ModelError(f"{path.name} is not Stable Diffusion 1.x or 2.x.",
                             "SDXL and others are not supported; for a variant, name a config folder.")
        self.config = config or CONFIGS / FAMILIES[width]

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """All weights by name, mapped from the file where it can be."""
        with readable(self.name):
            if self.path.suffix == ".safetensors":
                from safetensors.torch import load_file

                return load_file(self.path)
            loaded = torch.load(self.path, map_location="cpu", weights_only=True, mmap=True)
            return loaded.get("state_dict", loaded)

    def part_config(self, sub: str, file: str = "config.json") -> dict[str, Any]:
        return json.loads((self.config / sub / file).read_text())

    def unet_config(self) -> dict[str, Any]:
        return {**self.part_config("unet"), "in_channels": self.channels}

    def schedule(self) -> dict[str, Any]:
        return self.part_config("scheduler", "scheduler_config.json")

    def unet(self, method: str, dtype: torch.dtype):
        from diffusers import UNet2DConditionModel
        from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

        config = self.unet_config()
        with readable(self.name):
            weights = convert_ldm_unet_checkpoint(self.tensors, config)
            return self._filled(UNet2DConditionModel, config, weights, dtype)

    def vae(self, dtype: torch.dtype):
        from diffusers import AutoencoderKL
        from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

        config = self.part_config("vae")
        with readable(self.name):
            weights = convert_ldm_vae_checkpoint(dict(self.tensors), config)
            return self._filled(AutoencoderKL, config, weights, dtype)

    def text_encoder(self, dtype: torch.dtype):
        from diffusers.loaders import single_file_utils as utils
        from transformers import CLIPTextConfig, CLIPTextModel

        config = CLIPTextConfig(**self.part_config("text_encoder"))
        with readable(self.name):
            encoder = empty(CLIPTextModel, config)
            if any(key.startswith("cond_stage_model.model.") for key in self.tensors):
                weights = utils.convert_open_clip_checkpoint(encoder, self.tensors)
            else:
                weights = utils.convert_ldm_clip_checkpoint(self.tensors)
            own = encoder.state_dict()
            flat = {key.removeprefix("text_model."): value for key, value in weights.items()}
            weights = {key: flat.get(key.removeprefix("text_model.")) for key in own}
            return self._loaded(encoder, {k: v for k, v in weights.items() if v is not None}, dtype)

    def tokenizer(self):
        from .text import tokenizer

        return tokenizer(self.config)

    def files(self) -> list[Path]:
        return [self.path]

    def _filled(self, cls, config: dict[str, Any], weights: dict[str, Tensor], dtype: torch.dtype):
        from accelerate import init_empty_weights

        with init_empty_weights():
            network = cls.from_config(config)
        return self._loaded(network, weights, dtype)

    def _loaded(self, network, weights: dict[str, Tensor], dtype: torch.dtype):
        """The network with these weights, in `dtype`; every one of them must find its place."""
        own = network.state_dict()
        complete(self.name, own.keys() - weights.keys(), weights.keys() - own.keys(),
                 [key for key in own.keys() & weights.keys() if own[key].shape != weights[key].shape])
        network.load_state_dict({key: value.to(dtype) for key, value in weights.items()}, assign=True)
        return network.eval()


def empty(cls, config):
    """A transformers model without storage for its weights (its position ids are real)."""
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        return cls(config)


def header(path: Path) -> dict[str, list[int]]:
    """{tensor name: shape} of a safetensors file; ModelError if it is none, is cut off, or its header lies."""
    advice = "Download it again."
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(size - 8, MAX_HEADER):
                raise ModelError(f"{path.name} is no safetensors file, or it is cut off.", advice)
            entries = json.loads(file.read(length))
        entries.pop("__metadata__", None)
        shapes = {str(name): [int(n) for n in entry["shape"]] for name, entry in entries.items()}
        end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read.", "Check the path.") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ModelError(f"{path.name} is no safetensors file.", advice) from error
    if end != size - 8 - length:
        raise ModelError(f"{path.name} is cut off: {size} bytes where {end + 8 + length} belong.", advice)
    return shapes
