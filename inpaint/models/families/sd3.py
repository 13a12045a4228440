"""Adapt Stable Diffusion 3 and 3.5 (Esser et al. 2024, arXiv 2403.03206): a rectified flow, two CLIPs and T5."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...diffusion.conditioning import Conditioning
from ...unet import forward
from .. import lora_merge
from ..t5 import T5
from ..text_encoder import Text
from .family import Encoder, Family, OnDevice, Prompts, Run
from .sdxl import one_layer, pooled_text

if TYPE_CHECKING:
    from ..sources import ModelSource

TOKENS = 256  # of T5


class StableDiffusion3(Family):
    """A transformer that attends to the words of all three encoders and takes both CLIPs' pooled text."""

    title = "Stable Diffusion 3"
    network = "SD3Transformer2DModel"
    folders = ("transformer", "transformer_inpainting")
    encoders = (
        Encoder("text_encoder", "CLIPTextModelWithProjection", "tokenizer"),
        Encoder("text_encoder_2", "CLIPTextModelWithProjection", "tokenizer_2"),
        Encoder("text_encoder_3", "T5EncoderModel", "tokenizer_3", optional=True),
    )
    methods = MappingProxyType({16: "base", 33: "inpaint"})
    patch, flow = 2, True

    def guidance(self, config: dict[str, Any]) -> float:
        return 4.5

    def texts(self, source: ModelSource, dtype: torch.dtype, loras: list, embeddings: Iterable) -> tuple:
        first, second, third = self.encoders
        read = [lora_merge.encoder(source, spec, dtype, loras) for spec in self.encoders]
        clips = [Text(source.tokenizer(spec.tokenizer), read[k]) for k, spec in enumerate((first, second))]
        encoder, width = read[2], source.unet_config()["joint_attention_dim"]
        tokenizer = source.tokenizer(third.tokenizer, "T5Tokenizer") if encoder is not None else None
        return (*clips, T5(tokenizer, encoder, TOKENS, width))

    def encode(self, texts: tuple, prompts: Prompts, on_device: OnDevice) -> Conditioning:
        """Return the CLIPs' words side by side, followed by T5's, [B, 77 + 256, width]; and both pooled texts."""
        words, skip, layer, chunks = prompts
        one_layer(self.title, layer)
        found, pooled = [], []
        for text in texts[:2]:
            with on_device(text.encoder):
                found.append(text.embed(words, clip_skip=skip + 1, layer="hidden", chunks=chunks))
                pooled.append(pooled_text(text, words, chunks))
        if texts[2].encoder is None:
            rest = texts[2].embed(words)
        else:
            with on_device(texts[2].encoder):
                rest = texts[2].embed(words)
        both = torch.cat(found, dim=-1)
        both = F.pad(both, (0, rest.shape[-1] - both.shape[-1]))
        return Conditioning((torch.cat([both, rest.to(both.device)], dim=1), torch.cat(pooled, dim=-1)))

    def run(self, network: nn.Module, guidance: float, pixels: int) -> Run:
        def run(x: Tensor, t: float, text: Conditioning) -> Tensor:
            words, pooled = text.tensors
            return network(
                hidden_states=forward.repeat_to(x, len(text)),
                timestep=forward.timestep(x, t).expand(len(text)),
                encoder_hidden_states=words,
                pooled_projections=pooled,
            ).sample

        return run

    def fits(self, config: dict[str, Any], texts: tuple) -> bool:
        t5 = texts[2].encoder
        alike = t5 is None or config.get("joint_attention_dim") == t5.config.d_model
        pooled = sum(text.encoder.config.projection_dim for text in texts[:2])
        return alike and config.get("pooled_projection_dim") == pooled

    def out(self, config: dict[str, Any]) -> int:
        return int(config.get("out_channels") or 16)
