"""A model in diffusers' layout: a folder with unet/, vae/, text_encoder/, tokenizer/ and scheduler/."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from .errors import ModelError

METHODS = {4: "base", 9: "inpaint"}  # by the channels of the UNet's first convolution
UNETS = ("unet", "unet_inpainting")


class Folder:
    """The parts of a model on disk, each loaded when it is asked for."""

    def __init__(self, path: Path):
        self.path, self.name = path, path.name
        self.where = {method_of(self.config(sub)["in_channels"], self.name): sub
                      for sub in UNETS if (path / sub / "config.json").is_file()}
        if not self.where:
            raise ModelError(f"The folder {path.name} holds no model: it has no unet/config.json.",
                             "Choose a folder in diffusers' layout.")

    def config(self, sub: str, file: str = "config.json") -> dict[str, Any]:
        """One part's configuration."""
        try:
            config = json.loads((self.path / sub / file).read_text())
        except (OSError, ValueError) as error:
            raise ModelError(f"The model {self.name} has no readable {sub}/{file}.", "Download it again.") from error
        if not isinstance(config, dict):
            raise ModelError(f"The model {self.name} has no readable {sub}/{file}.", "Download it again.")
        return config

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(self.where)

    def unet_config(self) -> dict[str, Any]:
        return self.config(next(iter(self.where.values())))

    def schedule(self) -> dict[str, Any]:
        return self.config("scheduler", "scheduler_config.json")

    def unet(self, method: str, dtype: torch.dtype):
        from diffusers import UNet2DConditionModel

        return self._network(UNet2DConditionModel, self.where[method], torch_dtype=dtype)

    def vae(self, dtype: torch.dtype):
        from diffusers import AutoencoderKL

        return self._network(AutoencoderKL, "vae", torch_dtype=dtype)

    def text_encoder(self, dtype: torch.dtype):
        from transformers import CLIPTextModel
        from transformers.utils import logging

        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # a bar for a fraction of a second
        try:
            return self._network(CLIPTextModel, "text_encoder", dtype=dtype)  # without it: the file's own dtype
        finally:
            if shown:
                logging.enable_progress_bar()

    def tokenizer(self):
        from .text import tokenizer

        return tokenizer(self.path)

    def files(self) -> list[Path]:
        """The files that hold its weights."""
        subs = (*self.where.values(), "vae", "text_encoder")
        return sorted(file for sub in subs for file in self.weights(sub))

    def weights(self, sub: str) -> list[Path]:
        """One part's weight files: the half-precision ones if they are all there is."""
        files = sorted((self.path / sub).glob("*.safetensors"))
        return [file for file in files if "fp16" not in file.name and "non_ema" not in file.name] or files

    def _network(self, cls, sub: str, **options):
        """One part, whole or not at all: missing, unexpected and misshapen weights are errors."""
        files = self.weights(sub)
        if not files:
            raise ModelError(f"The model {self.name} has no {sub}/*.safetensors.",
                             "Download it again, or convert its weights to safetensors.")
        if all("fp16" in file.name for file in files):
            options["variant"] = "fp16"
        with readable(f"{self.name}/{sub}"):
            network, info = cls.from_pretrained(
                str(self.path), subfolder=sub, use_safetensors=True, local_files_only=True,
                output_loading_info=True, **options)
        complete(self.name, info["missing_keys"], info["unexpected_keys"], info["mismatched_keys"])
        return network.eval()


def method_of(channels: int, name: str) -> str:
    """base for 4 channels in, inpaint for 9; ModelError for anything else."""
    if channels not in METHODS:
        raise ModelError(f"The UNet of {name} takes {channels} channels.",
                         "Choose a Stable Diffusion model with 4 (base) or 9 (inpainting) channels.")
    return METHODS[channels]


def complete(name: str, missing, unexpected=(), mismatched=()) -> None:
    """ModelError unless every weight found its place."""
    missing = [key for key in missing if "position_ids" not in key]
    unexpected = [key for key in unexpected if "position_ids" not in key]
    for what, keys in (("lacks", missing), ("has unknown", unexpected), ("has misshapen", mismatched)):
        if keys:
            raise ModelError(f"The model {name} {what} {len(keys)} weights, such as {sorted(map(str, keys))[0]}.",
                             "It is another kind of model, or its file is damaged.")


@contextmanager
def readable(name: str):
    """Whatever the libraries say about a file that cannot be read becomes one sentence."""
    from pickle import UnpicklingError

    from safetensors import SafetensorError

    from .memory import is_out_of_memory

    try:
        yield
    except (SafetensorError, UnpicklingError, OSError, ValueError, RuntimeError, KeyError, TypeError,
            EOFError) as error:

        if is_out_of_memory(error):
            raise
        raise ModelError(f"The model file {name} is damaged or of another kind.", "Download it again.") from error
