"""A model in diffusers' layout: a folder with unet/, vae/, text_encoder/, tokenizer/ and scheduler/."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..errors import ModelError
from .weight_files import complete, count, header, readable

METHODS = {4: "base", 9: "inpaint"}  # by the channels of the UNet's first convolution
UNETS = ("unet", "unet_inpainting")


class Folder:
    """The parts of a model on disk, each loaded when it is asked for."""

    def __init__(self, path: Path):
        self.path, self.name, self.where = path, path.name, {}
        for sub in UNETS:
            if (path / sub / "config.json").is_file():
                self.where[method_of(config(path, sub), self.name)] = sub
        if not self.where:
            raise ModelError(
                f"The folder {path.name} holds no model: it has no unet/config.json.",
                "Choose a folder in diffusers' layout.",
            )

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(self.where)

    def unet_config(self) -> dict[str, Any]:
        return config(self.path, next(iter(self.where.values())))

    def schedule(self) -> dict[str, Any]:
        return config(self.path, "scheduler", "scheduler_config.json")

    def unet(self, method: str, dtype: torch.dtype):
        from diffusers import UNet2DConditionModel

        return network(UNet2DConditionModel, self.path, self.where[method], torch_dtype=dtype)

    def vae(self, dtype: torch.dtype):
        from diffusers import AutoencoderKL

        return network(AutoencoderKL, self.path, "vae", torch_dtype=dtype)

    def text_encoder(self, dtype: torch.dtype):
        from transformers import CLIPTextModel

        with silent():  # a bar for a fraction of a second; and without a dtype it would take the file's own
            # its configuration could name a program on the Hub to compute attention with: here it is torch's
            return network(CLIPTextModel, self.path, "text_encoder", dtype=dtype, attn_implementation="sdpa")

    def tokenizer(self):
        from .text_encoder import tokenizer

        return tokenizer(self.path)

    def files(self) -> list[Path]:
        """The files that hold its weights."""
        return [file for sub in (*self.where.values(), "vae", "text_encoder") for file in files(self.path / sub)]

    def unet_files(self, method: str) -> list[Path]:
        return files(self.path / self.where[method])

    def parameters(self) -> int:
        """How many there are in one UNet, the VAE and the text encoder together."""
        subs = (self.where[self.methods[-1]], "vae", "text_encoder")
        return sum(count(header(file)) for sub in subs for file in files(self.path / sub))


def method_of(unet: dict[str, Any], name: str) -> str:
    """base for 4 channels in, inpaint for 9; ModelError for anything else."""
    if unet.get("addition_embed_type") or unet.get("encoder_hid_dim_type") or unet.get("class_embed_type"):
        raise ModelError(
            f"{name} is a Stable Diffusion XL or another kind of model, not supported yet.",
            "Choose a model of Stable Diffusion 1.x or 2.x.",
        )
    channels = unet.get("in_channels")
    if channels not in METHODS:
        raise ModelError(
            f"The UNet of {name} takes {channels} channels.",
            "Choose a Stable Diffusion model with 4 (base) or 9 (inpainting) channels.",
        )
    return METHODS[channels]


def config(root: Path, sub: str, file: str = "config.json") -> dict[str, Any]:
    """One part's configuration."""
    problem = f"The model {root.name} has no readable {f'{sub}/' if sub else ''}{file}."
    try:
        found = json.loads((root / sub / file).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(problem, "Download it again.") from error
    if not isinstance(found, dict):
        raise ModelError(problem, "Download it again.")
    return found


def files(folder: Path) -> list[Path]:
    """One part's weight files: the half-precision ones if they are all there is."""
    found = sorted(folder.glob("*.safetensors"))
    return [file for file in found if "fp16" not in file.name and "non_ema" not in file.name] or found


def network(cls, root: Path, sub: str, **options):
    """One part, whole or not at all: missing, unexpected and misshapen weights are errors."""
    found = files(root / sub)
    if not found:
        raise ModelError(
            f"The model {root.name} has no {f'{sub}/' if sub else ''}*.safetensors.",
            "Download it again, or convert its weights to safetensors.",
        )
    if all("fp16" in file.name for file in found):
        options["variant"] = "fp16"
    with readable(f"{root.name}/{sub}"):
        loaded, info = cls.from_pretrained(
            str(root), subfolder=sub, use_safetensors=True, local_files_only=True, output_loading_info=True, **options
        )
    complete(root.name, info["missing_keys"], info["unexpected_keys"], info["mismatched_keys"])
    return loaded.eval()


@contextmanager
def silent():
    """transformers without its progress bars; as they were before, afterwards."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
