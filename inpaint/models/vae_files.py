"""A VAE on its own, to take the place of a model's: a folder, a single file, or what a Hub id was fetched to."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import ModelError
from . import conversion
from .diffusers_folder import config, files, network
from .single_file import CONFIGS, filled
from .weight_files import readable, shapes, tensors

PREFIX = "first_stage_model."
PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")


class FolderVae:
    """diffusers' layout: config.json and weights in the folder itself, or in its vae/."""

    def __init__(self, path: Path):
        self.path, self.sub = path, "vae" if (path / "vae" / "config.json").is_file() else ""
        if not (path / self.sub / "config.json").is_file():
            raise ModelError(f"The folder {path.name} holds no VAE.", "Name one with config.json and *.safetensors.")
        kind = config(path, self.sub).get("_class_name", "AutoencoderKL")
        if kind != "AutoencoderKL":
            raise ModelError(f"{path.name} is a {kind}, not a VAE of Stable Diffusion.", "Choose another.")

    def vae(self, dtype: torch.dtype):
        from diffusers import AutoencoderKL

        return network(AutoencoderKL, self.path, self.sub, torch_dtype=dtype)

    def files(self) -> list[Path]:
        return files(self.path / self.sub)


class FileVae:
    """A single file in ldm naming or in diffusers': a VAE alone, or a whole checkpoint of which only it is used."""

    def __init__(self, path: Path, folder: Path | None = None, allow_pickle: bool = False):
        self.path, self.folder, self.allow_pickle = path, folder or CONFIGS / "sd15", allow_pickle
        names = shapes(path, allow_pickle)
        self.prefix = PREFIX if any(name.startswith(PREFIX) for name in names) else ""
        if f"{self.prefix}encoder.conv_in.weight" not in names:
            raise ModelError(f"{path.name} holds no VAE of Stable Diffusion.", "Choose another file.")

    def vae(self, dtype: torch.dtype):
        from diffusers import AutoencoderKL

        settings = config(self.folder, "vae")
        with readable(self.path.name):
            found = {
                name.removeprefix(self.prefix): value
                for name, value in tensors(self.path, self.allow_pickle).items()
                if name.startswith(self.prefix)
            }
            weights = {name: value for name, value in found.items() if name.startswith(PARTS)}
            if not any(name.startswith("encoder.down_blocks.") for name in weights):
                weights = conversion.vae_weights(weights, settings)
            return filled(self.path.name, AutoencoderKL, settings, weights, dtype)

    def files(self) -> list[Path]:
        return [self.path]
