"""A model in one file, in the naming of the original ldm program; 4 or 9 channels, told by its first convolution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import paths
from ..errors import ModelError
from . import conversion, ldm_config
from .diffusers_folder import config as read_config
from .diffusers_folder import method_of
from .weight_files import complete, count, readable, shapes, tensors

CONFIGS = paths.CONFIGS
FIRST = "model.diffusion_model.input_blocks.0.0.weight"
CROSS = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
FAMILIES = {768: "sd15", 1024: "sd2"}  # by the width of the text the UNet attends to
PARTS = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.")


class SingleFile:
    """The parts of a single-file model.

    folder  in diffusers' layout, whose configurations and tokenizer to use; without it those of Stable Diffusion
            1.x or 2.x, whichever the file's shapes fit.  The original program's NAME.yaml beside NAME.safetensors
            goes before both.
    """

    def __init__(self, path: Path, folder: Path | None = None, allow_pickle: bool = False):
        self.path, self.name, self.allow_pickle = path, path.name, allow_pickle
        found = shapes(path, allow_pickle)
        if FIRST not in found:
            raise ModelError(
                f"{path.name} is no Stable Diffusion checkpoint in ldm naming.",
                "Choose a full checkpoint of Stable Diffusion 1.x or 2.x.",
            )
        self.channels, width = found[FIRST][1], found.get(CROSS, [0, 0])[1]
        self.methods = (method_of({"in_channels": self.channels}, self.name),)
        if folder is None and width not in FAMILIES:
            raise ModelError(
                f"{path.name} is not Stable Diffusion 1.x or 2.x; SDXL is not supported yet.",
                "Choose another model; for a variant, name a folder with its configurations.",
            )
        self.folder = folder or CONFIGS / FAMILIES[width]
        self.original = ldm_config.beside(path)
        self.size = count({key: shape for key, shape in found.items() if key.startswith(PARTS)})

    def unet_config(self) -> dict[str, Any]:
        return {**(self._original("unet") or read_config(self.folder, "unet")), "in_channels": self.channels}

    def schedule(self) -> dict[str, Any]:
        config = read_config(self.folder, "scheduler", "scheduler_config.json")
        return {**config, **(ldm_config.schedule(self.original) if self.original else {})}

    def unet(self, method: str, dtype: torch.dtype):
        from diffusers import UNet2DConditionModel

        config = self.unet_config()
        with readable(self.name):
            return filled(
                self.name, UNet2DConditionModel, config, conversion.unet_weights(self._tensors(), config), dtype
            )

    def vae(self, dtype: torch.dtype):
        from diffusers import AutoencoderKL

        config = self._original("vae") or read_config(self.folder, "vae")
        with readable(self.name):
            return filled(self.name, AutoencoderKL, config, conversion.vae_weights(self._tensors(), config), dtype)

    def text_encoder(self, dtype: torch.dtype):
        from accelerate import init_empty_weights
        from transformers import CLIPTextConfig, CLIPTextModel

        told = {
            key: value
            for key, value in read_config(self.folder, "text_encoder").items()
            if "attn_implementation" not in key
        }  # which could name a program on the Hub
        config, weights = CLIPTextConfig(**told), self._tensors()
        with readable(self.name):
            with init_empty_weights(include_buffers=False):  # its position ids stay real
                encoder = CLIPTextModel(config)
            return loaded(self.name, encoder, conversion.text_weights(weights, encoder), dtype)

    def tokenizer(self):
        from .text_encoder import tokenizer

        return tokenizer(self.folder)

    def files(self) -> list[Path]:
        return [self.path]

    def unet_files(self, method: str) -> list[Path]:
        return [self.path]

    def parameters(self) -> int:
        return self.size

    def _original(self, part: str) -> dict[str, Any] | None:
        if self.original is None:
            return None
        with readable(self.path.with_suffix("").name + "'s configuration"):
            return conversion.config_of(part, self.original)

    def _tensors(self) -> dict[str, Tensor]:
        """Read anew each time: the networks share this memory, and LoRAs change it in place."""
        return dict(tensors(self.path, self.allow_pickle))


def filled(name: str, cls, config: dict[str, Any], weights: dict[str, Tensor], dtype: torch.dtype):
    """A diffusers network of this configuration with these weights, every one of which must find its place."""
    from accelerate import init_empty_weights

    with init_empty_weights():
        network = cls.from_config(config)
    return loaded(name, network, weights, dtype)


def loaded(name: str, network, weights: dict[str, Tensor], dtype: torch.dtype):
    """The network with these weights, in `dtype`."""
    own = network.state_dict()
    complete(
        name,
        own.keys() - weights.keys(),
        weights.keys() - own.keys(),
        [key for key in own.keys() & weights.keys() if own[key].shape != weights[key].shape],
    )
    network.load_state_dict({key: value.to(dtype) for key, value in weights.items()}, assign=True)
    return network.eval()
