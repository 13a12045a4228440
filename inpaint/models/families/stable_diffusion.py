"""Adapt Stable Diffusion 1.x and 2.x: one CLIP, latents of 4 channels, and the UNet of `inpaint.unet`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...unet import forward
from .. import lora_merge
from ..text_encoder import Text
from .family import Encoder, Family, OnDevice, Prompts, Run

if TYPE_CHECKING:
    from ..sources import ModelSource


class StableDiffusion(Family):
    """A UNet that attends to the words only (Rombach et al. 2022, arXiv 2112.10752)."""

    title = "Stable Diffusion"
    encoders = (Encoder("text_encoder", "CLIPTextModel", "tokenizer"),)
    learns = 1

    def reads(self, config: dict[str, Any]) -> bool:
        others = ("addition_embed_type", "encoder_hid_dim_type", "class_embed_type")
        return config.get("_class_name", self.network) == self.network and not any(map(config.get, others))

    def side(self, config: dict[str, Any]) -> int:
        return super().side({"sample_size": config.get("sample_size") or 64})

    def texts(self, source: ModelSource, dtype: torch.dtype, loras: list, embeddings: Iterable) -> tuple:
        encoder = lora_merge.encoder(source, self.encoders[0], dtype, loras)
        return (Text(source.tokenizer(), encoder, embeddings),)

    def encode(self, texts: tuple, prompts: Prompts, on_device: OnDevice) -> Tensor:
        (text,), (words, skip, layer, chunks) = texts, prompts
        with on_device(text.encoder):
            return text.embed(words, clip_skip=skip, layer=layer, chunks=chunks)

    def run(self, network: nn.Module, guidance: float, pixels: int) -> Run:
        return forward.whole(network, guidance)

    def fits(self, config: dict[str, Any], texts: tuple) -> bool:
        return config.get("cross_attention_dim") == texts[0].encoder.config.hidden_size

    def out(self, config: dict[str, Any]) -> int:
        return config.get("out_channels", 4)

    @property
    def combine(self) -> str:
        return "all Stable Diffusion 1.x or all 2.x"
