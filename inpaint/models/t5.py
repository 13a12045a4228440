"""Encode prompts with T5, which newer models use beside CLIP or alone."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor

from . import prompt_syntax
from .prompt_weights import parse

CACHED = 64  # prompts


class T5:
    """A tokenizer and T5's encoder: every prompt becomes `length` tokens; longer ones are cut.

    The encoder takes most of a model's memory and may be missing.  Then the tokens are zeros [length, width], as
    models expect that were trained to work without it.
    """

    def __init__(self, tokenizer: Any, encoder: Any, length: int, width: int):
        self.tokenizer, self.encoder, self.length, self.width = tokenizer, encoder, length, width
        self.cache: OrderedDict[str, Tensor] = OrderedDict()

    def replace_encoder(self, encoder: Any) -> None:
        """Use another encoder of the same size, such as one with LoRAs merged into it."""
        self.encoder = encoder
        self.cache.clear()

    def embed(self, prompts: list[str]) -> Tensor:
        """Encode prompts to [B, length, width], float32; brackets of weights are read as plain words."""
        return torch.cat([self._cached(plain(prompt)) for prompt in prompts])

    def _cached(self, prompt: str) -> Tensor:
        if self.encoder is None:
            return torch.zeros(1, self.length, self.width)
        if prompt not in self.cache:
            self.cache[prompt] = self._encoded(prompt)
            while len(self.cache) > CACHED:
                self.cache.popitem(last=False)
        self.cache.move_to_end(prompt)
        return self.cache[prompt]

    @torch.no_grad()
    def _encoded(self, prompt: str) -> Tensor:
        options = {"padding": "max_length", "max_length": self.length, "truncation": True, "return_tensors": "pt"}
        ids = self.tokenizer([prompt], verbose=False, **options).input_ids
        device = torch.device("cpu") if self.encoder.device.type == "meta" else self.encoder.device
        return self.encoder(ids.to(device))[0].float()


def plain(prompt: str) -> str:
    """Return a prompt without the brackets and numbers of weights, and without tags of LoRAs."""
    return "".join(text for text, _ in parse(prompt_syntax.without_tags(prompt)))
