"""Adapt FLUX.1 dev, schnell and Fill: a rectified flow over packed latents, CLIP's pooled text and T5's words.

2 × 2 latent cells are one token.  dev and Fill take the guidance scale as an input, since they were distilled with
it; schnell has none.  Fill also takes the picture with the hole cut out and the mask's own pixels, packed beside x.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...diffusion.conditioning import Conditioning
from ...diffusion.schedule import EVEN
from ...unet import forward
from .. import lora_merge
from ..t5 import T5
from ..text_encoder import Text
from .family import Encoder, Family, OnDevice, Prompts, Run

if TYPE_CHECKING:
    from ..sources import ModelSource

TOKENS = 512  # of T5
FILL = 384  # channels of a token in Fill: 64 of x, 64 of the masked picture, 256 pixels of the mask


class Flux(Family):
    """A transformer that attends to T5's words and takes CLIP's pooled text and the position of each token."""

    title = "FLUX.1"
    network = "FluxTransformer2DModel"
    folders = ("transformer", "transformer_inpainting")
    encoders = (
        Encoder("text_encoder", "CLIPTextModel", "tokenizer"),
        Encoder("text_encoder_2", "T5EncoderModel", "tokenizer_2"),
    )
    methods = MappingProxyType({64: "base", FILL: "inpaint"})
    patch, flow = 2, True

    def guidance(self, config: dict[str, Any]) -> float:
        if not config.get("guidance_embeds"):
            return 1.0
        return 30.0 if config.get("in_channels") == FILL else 3.5

    def embeds_guidance(self, config: Any) -> bool:
        return bool(config.get("guidance_embeds"))

    def schedule(self, config: dict[str, Any]) -> dict[str, Any]:
        return {**super().schedule(config), EVEN: True}

    def texts(self, source: ModelSource, dtype: torch.dtype, loras: list, embeddings: Iterable) -> tuple:
        first, second = self.encoders
        small, encoder = (lora_merge.encoder(source, spec, dtype, loras) for spec in self.encoders)
        clip = Text(source.tokenizer(first.tokenizer), small)
        tokenizer = source.tokenizer(second.tokenizer, "T5Tokenizer")
        return clip, T5(tokenizer, encoder, TOKENS, encoder.config.d_model)

    def encode(self, texts: tuple, prompts: Prompts, on_device: OnDevice) -> Conditioning:
        clip, t5 = texts
        with on_device(clip.encoder):
            pooled = clip.embed(prompts.texts, layer="pooled", chunks=prompts.chunks)[:, 0]
        with on_device(t5.encoder):
            words = t5.embed(prompts.texts)
        return Conditioning((words, pooled.to(words.device)))

    def run(self, network: nn.Module, guidance: float, pixels: int) -> Run:
        config: Any = network.config

        def run(x: Tensor, t: float, text: Conditioning) -> Tensor:
            words, pooled = text.tensors
            n, (h, w) = len(text), x.shape[-2:]
            out = network(
                hidden_states=packed(forward.repeat_to(x, n)),
                timestep=forward.timestep(x, t).expand(n).to(x.dtype) / 1000,
                guidance=torch.full((n,), guidance, device=x.device) if config.guidance_embeds else None,
                pooled_projections=pooled,
                encoder_hidden_states=words,
                txt_ids=words.new_zeros(words.shape[1], 3),
                img_ids=positions(h // 2, w // 2, x),
            ).sample
            return unpacked(out, h, w)

        return run

    def context(self, hole: Tensor, painted: Tensor, masked: Tensor) -> Tensor:
        """Return the masked picture's latents, followed by the mask's pixels, each cell's 8 × 8 as channels."""
        cells = F.pixel_unshuffle(painted.to(masked), painted.shape[-1] // hole.shape[-1])
        return torch.cat([masked, cells], dim=1)

    def fits(self, config: dict[str, Any], texts: tuple) -> bool:
        words, pooled = texts[1].encoder.config.d_model, texts[0].encoder.config.hidden_size
        return (config.get("joint_attention_dim"), config.get("pooled_projection_dim")) == (words, pooled)

    def out(self, config: dict[str, Any]) -> int:
        return super().out(config) // self.patch**2


def packed(x: Tensor) -> Tensor:
    """Turn [N, c, h, w] into tokens [N, h/2 · w/2, 4 c]."""
    return F.pixel_unshuffle(x, 2).flatten(2).transpose(1, 2)


def unpacked(tokens: Tensor, h: int, w: int) -> Tensor:
    """Turn tokens [N, h/2 · w/2, 4 c] back into [N, c, h, w]."""
    return F.pixel_shuffle(tokens.transpose(1, 2).unflatten(2, (h // 2, w // 2)), 2)


def positions(rows: int, columns: int, x: Tensor) -> Tensor:
    """Return the position of each token, [rows · columns, 3]: 0, its row, its column."""
    row, column = (torch.arange(n, device=x.device, dtype=x.dtype) for n in (rows, columns))
    row, column = row.repeat_interleave(columns), column.repeat(rows)
    return torch.stack([torch.zeros_like(row), row, column], dim=1)
