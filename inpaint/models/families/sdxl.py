"""Adapt Stable Diffusion XL (Podell et al. 2023, arXiv 2307.01952): two CLIPs, pooled text, the picture's size.

Turbo, Lightning, Pony and Illustrious models have the same networks; their scheduler's configuration says what they
predict.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...diffusion.conditioning import Conditioning
from ...diffusion.conditioning import Text as PromptEmbeds
from ...errors import InvalidRequest
from ...unet import forward
from .. import lora_merge
from ..text_encoder import Text
from .family import Encoder, Family, OnDevice, Prompts, Run

if TYPE_CHECKING:
    from ..sources import ModelSource


class XLText(Text):
    """One of the two CLIPs; with `zeros` an empty negative prompt becomes zeros, as in training."""

    zeros = True


class StableDiffusionXL(Family):
    """A UNet that attends to both CLIPs' words, [N, n, 768 + 1280]; pooled text and sizes join the timestep."""

    title = "Stable Diffusion XL"
    vae_settings, learns = "sdxl", 2
    encoders = (
        Encoder("text_encoder", "CLIPTextModel", "tokenizer"),
        Encoder("text_encoder_2", "CLIPTextModelWithProjection", "tokenizer_2"),
    )

    def reads(self, config: dict[str, Any]) -> bool:
        return super().reads({"_class_name": self.network, **config}) and (
            config.get("addition_embed_type") == "text_time"
        )

    def guidance(self, config: dict[str, Any]) -> float:
        return 5.0

    def vae_dtype(self, config: dict[str, Any], dtype: torch.dtype) -> torch.dtype:
        """Return float32 instead of float16, in which this VAE overflows unless its configuration says otherwise."""
        return torch.float32 if dtype is torch.float16 and config.get("force_upcast", True) else dtype

    def texts(self, source: ModelSource, dtype: torch.dtype, loras: list, embeddings: Iterable) -> tuple:
        found, zeros = [], bool(source.index().get("force_zeros_for_empty_prompt", True))
        for k, spec in enumerate(self.encoders):
            encoder = lora_merge.encoder(source, spec, dtype, loras)
            words = [word.of_encoder(k) for word in embeddings]
            found.append(XLText(source.tokenizer(spec.tokenizer), encoder, words))
            found[-1].zeros = zeros
        return tuple(found)

    def encode(self, texts: tuple, prompts: Prompts, on_device: OnDevice) -> Conditioning:
        """Return the last but one layer of both encoders, side by side, and the pooled text of the second."""
        words, skip, layer, chunks = prompts
        one_layer(self.title, layer)
        found = []
        for text in texts:
            with on_device(text.encoder):
                found.append(text.embed(words, clip_skip=skip + 1, layer="hidden", chunks=chunks))
        with on_device(texts[1].encoder):
            pooled = pooled_text(texts[1], words, chunks)
        tensors = torch.cat(found, dim=-1), pooled.to(found[0].device)
        if len(words) > 1 and not words[0].strip() and texts[0].zeros:  # the negative prompt comes first
            for tensor in tensors:
                tensor[0] = 0
        return Conditioning(tensors)

    def run(self, network: nn.Module, guidance: float, pixels: int) -> Run:
        def run(x: Tensor, t: float, text: PromptEmbeds) -> Tensor:
            words, pooled = text[0], text[1]
            height, width = (n * pixels for n in x.shape[-2:])
            options = forward.guidance_options(network, guidance, x, len(text))
            numbers = forward.numbers((height, width, 0, 0, height, width), x)  # original size, crop, target size
            options["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": numbers.expand(len(text), -1)}
            x = forward.repeat_to(x, len(text))
            return network(x, forward.timestep(x, t), encoder_hidden_states=words, **options).sample

        return run

    def fits(self, config: dict[str, Any], texts: tuple) -> bool:
        return config.get("cross_attention_dim") == sum(text.encoder.config.hidden_size for text in texts)


def one_layer(title: str, layer: str) -> None:
    """Raise InvalidRequest if another text layer is asked for than the one these models were trained on."""
    if layer != "last":
        raise InvalidRequest("text_layer", f"{title} was trained on one text layer.", "Choose last.")


@torch.no_grad()
def pooled_text(text: Text, words: list[str], chunks: int | None) -> Tensor:
    """Return a CLIP's projected pooled text, [B, d], float32."""
    pooled = text.embed(words, layer="pooled", chunks=chunks)[:, 0]
    return text.encoder.text_projection(pooled.to(text.encoder.text_projection.weight.dtype)).float()
