"""Declare the adapter of a model family: how to recognise and read its models, encode prompts, and run a denoiser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ...diffusion.conditioning import Text
from ...errors import ModelError
from ..vae import Autoencoder

if TYPE_CHECKING:
    from ..sources import ModelSource

OnDevice = Callable[[nn.Module], AbstractContextManager[None]]
Run = Callable[[Tensor, float, Any], Tensor]  # (x [B, c, h, w], t, text of N rows) -> [N, c, h, w]


class Encoder(NamedTuple):
    """A text encoder's folder, class in transformers, tokenizer's folder; a model may lack an `optional` one."""

    folder: str
    network: str
    tokenizer: str
    optional: bool = False

    @property
    def loras(self) -> str:
        """Return the name that LoRAs use for it: that of its folder, or t5."""
        return "t5" if self.network.startswith("T5") else self.folder


class Prompts(NamedTuple):
    """The prompts to encode, and how to encode them: see `Text.embed`."""

    texts: list[str]
    clip_skip: int = 0
    layer: str = "last"
    chunks: int | None = None


class TextPart(Protocol):
    """A tokenizer and its text encoder."""

    tokenizer: Any
    encoder: Any


class Family:
    """An adapter: everything about one kind of model that diffusers' and transformers' networks do not know.

    title         the name in sentences
    network, vae  diffusers' classes of the denoiser and of the VAE
    folders       where a denoiser may lie: the family's own, and one beside it that was trained for inpainting
    methods       {channels in: "base" or "inpaint"}
    patch         latent cells along the side of one token; 1 for a UNet
    flow          whether it is a rectified flow
    learns        of how many text encoders a learned word needs vectors; 0 if it takes no embeddings
    vae_settings  the shipped configuration for a VAE in a file of its own
    """

    title = ""
    network, vae = "UNet2DConditionModel", "AutoencoderKL"
    folders: tuple[str, ...] = ("unet", "unet_inpainting")
    encoders: tuple[Encoder, ...] = ()
    methods: Mapping[int, str] = MappingProxyType({4: "base", 9: "inpaint"})
    patch, flow, learns, vae_settings = 1, False, 0, "sd15"

    def networks(self) -> list[str]:
        """Return the names that LoRAs use for the text encoders."""
        return [encoder.loras for encoder in self.encoders]

    def reads(self, config: dict[str, Any]) -> bool:
        """Return whether a denoiser of this configuration belongs to the family."""
        return config.get("_class_name") == self.network

    def method(self, config: dict[str, Any], name: str) -> str:
        """Return base or inpaint, by the denoiser's input channels; raise ModelError for any other number."""
        channels = int(config.get("in_channels") or 0)
        if channels not in self.methods:
            some = " or ".join(f"{n} ({method})" for n, method in self.methods.items())
            raise ModelError(
                f"The {self.folders[0]} of {name} takes {channels} channels.",
                f"Choose a {self.title} model with {some} channels.",
            )
        return self.methods[channels]

    def side(self, config: dict[str, Any]) -> int:
        """Return the side in pixels of the pictures the denoiser was trained on; the longer one of a rectangle."""
        size = config.get("sample_size") or 128
        return 8 * max(map(int, size if isinstance(size, (list, tuple)) else [size]))

    def schedule(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return a scheduler's configuration with the family's own additions."""
        return {**config, "prediction_type": "flow"} if self.flow else config

    def guidance(self, config: dict[str, Any]) -> float:
        """Return the guidance scale that suits a denoiser of this configuration."""
        return 7.5

    def embeds_guidance(self, config: Any) -> bool:
        """Return whether the denoiser takes the guidance scale as an input, and so needs only one call."""
        return bool(config.get("time_cond_proj_dim"))

    def vae_dtype(self, config: dict[str, Any], dtype: torch.dtype) -> torch.dtype:
        """Return the dtype of a VAE of this configuration, where the networks have `dtype`."""
        return dtype

    def autoencoder(self, read: Callable[[torch.dtype], Any], dtype: torch.dtype) -> Autoencoder:
        """Return the VAE that this function reads."""
        return Autoencoder(read, dtype)

    def texts(self, source: ModelSource, dtype: torch.dtype, loras: list, embeddings: Iterable) -> tuple:
        """Read the text encoders with their tokenizers, [TextPart, …]; an optional one may lack its encoder."""
        raise NotImplementedError

    def encode(self, texts: tuple, prompts: Prompts, on_device: OnDevice) -> Text:
        """Encode the prompts for the denoiser, one row each."""
        raise NotImplementedError

    def run(self, network: nn.Module, guidance: float, pixels: int) -> Run:
        """Return a callable that runs a denoiser along one walk with this guidance; `pixels` per latent cell."""
        raise NotImplementedError

    def context(self, hole: Tensor, painted: Tensor, masked: Tensor) -> Tensor:
        """Return the inputs of an inpainting denoiser beside x: [1, 1 + c, h, w], hole first.

        hole [1, 1, h, w], 1 = repaint;  painted [1, 1, H, W], the same in pixels;  masked [1, c, h, w], the picture
        without them
        """
        return torch.cat([hole, masked], dim=1)

    def fits(self, config: dict[str, Any], texts: tuple) -> bool:
        """Return whether a denoiser of this configuration fits the width of these text encoders."""
        return True

    def out(self, config: dict[str, Any]) -> int:
        """Return how many channels a denoiser of this configuration predicts."""
        return int(config.get("out_channels") or config.get("in_channels") or 0)

    @property
    def combine(self) -> str:
        """Return which models' parts may be combined, as part of a sentence."""
        return f"all {self.title}"
