"""Prompts as the UNet reads them: CLIP embeddings of any length, with weights in brackets."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor

from .. import paths
from ..errors import InvalidRequest
from .prompt_weights import parse

CLIP = paths.CLIP
REMEMBER = 64  # chunks
LAYERS = ("last", "pooled", "hidden")
BACKTRACK = 10  # tokens a chunk may end early so as not to cut a word


def tokenizer(folder: Path | None = None):
    """The tokenizer in folder/tokenizer, or CLIP's own, whose vocabulary is shipped."""
    from transformers import CLIPTokenizer

    own = folder / "tokenizer" if folder else CLIP
    if any((own / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        return CLIPTokenizer.from_pretrained(str(own))
    settings = own / "tokenizer_config.json"  # Stable Diffusion 2 differs from CLIP only in how it pads
    pad = json.loads(settings.read_text())["pad_token"] if settings.is_file() else "<|endoftext|>"
    return CLIPTokenizer.from_pretrained(str(CLIP), pad_token=pad)


class Text:
    """A tokenizer and its text encoder.  `length` is how many tokens of a prompt fit into one chunk."""

    def __init__(self, tokenizer, encoder):
        self.tokenizer, self.encoder = tokenizer, encoder
        self.size = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)  # 77 for CLIP
        self.length = self.size - 2  # beside begin and end
        self.known: OrderedDict[tuple, Tensor] = OrderedDict()

    def embed(
        self, prompts: list[str], *, clip_skip: int = 0, layer: str = "last", chunks: int | None = None
    ) -> Tensor:
        """[B, chunks · size, d], float32: all prompts as long as the longest, or cut to so many chunks.

        layer  last    the last hidden state, or with clip_skip k the k-th before it, after the final norm
               hidden  the same without that norm, as the article's program has it
               pooled  [B, 1, d], the first chunk's end token
        """
        if layer not in LAYERS:
            raise InvalidRequest("text_layer", f"There is no text layer {layer!r}.", f"Choose {', '.join(LAYERS)}.")
        depth = self.encoder.config.num_hidden_layers
        if not 0 <= clip_skip < depth:
            raise InvalidRequest(
                "clip_skip",
                f"This model's text encoder has {depth} layers.",
                f"Choose a clip_skip from 0 to {depth - 1}.",
            )
        split = [self._chunks(prompt, chunks) for prompt in prompts]
        most = 1 if layer == "pooled" else max(map(len, split))
        return torch.cat(
            [
                torch.cat(
                    [self._known(part, clip_skip, layer) for part in (*parts[:most], *[()] * (most - len(parts)))],
                    dim=1,
                )
                for parts in split
            ]
        )

    def count(self, prompt: str) -> int:
        """How many tokens the prompt has."""
        return len(self._tokens(prompt))

    def forget(self) -> None:
        """The encoder has changed."""
        self.known.clear()

    def _known(self, part: tuple, clip_skip: int, layer: str) -> Tensor:
        """[1, size, d]; by chunk, so that a changed last word costs one chunk and memory has a bound."""
        key = part, clip_skip, layer
        if key not in self.known:
            self.known[key] = self._chunk(part, clip_skip, layer)
            while len(self.known) > REMEMBER:
                self.known.popitem(last=False)
        self.known.move_to_end(key)
        return self.known[key].to(self._device())  # the encoder may have moved since

    def _device(self) -> torch.device:
        """Where ids go in and embeddings come out; the CPU while accelerate's hooks stream the encoder from there."""
        device = self.encoder.device
        return torch.device("cpu") if device.type == "meta" else device

    @torch.no_grad()
    def _chunk(self, part: tuple, clip_skip: int, layer: str) -> Tensor:
        """[1, size, d] of up to `length` (token, weight) pairs."""
        begin, end, pad = (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id, self.tokenizer.pad_token_id)
        tail = self.length - len(part)
        ids = torch.tensor([[begin, *(token for token, _ in part), end, *[pad] * tail]])
        out = self.encoder(ids.to(self._device()), output_hidden_states=True)
        if layer == "pooled":
            return out.last_hidden_state[:, [len(part) + 1]].float()  # pooler_output, whatever eos id the config has
        hidden = out.last_hidden_state
        if layer == "hidden" or clip_skip:
            hidden = out.hidden_states[-(clip_skip + 1)]
        if layer == "last" and clip_skip:
            hidden = getattr(self.encoder, "text_model", self.encoder).final_layer_norm(hidden)
        return _weighted(hidden.float(), [1.0, *(weight for _, weight in part), *[1.0] * (tail + 1)])

    def _chunks(self, prompt: str, most: int | None) -> list[tuple[tuple[int, float], ...]]:
        """The prompt's tokens in chunks that do not cut a word, unless it is longer than BACKTRACK tokens."""
        tokens, parts, start = self._tokens(prompt), [], 0
        if most is not None:  # cut hard, as the article's program does
            return [tuple(tokens[k * self.length : (k + 1) * self.length]) for k in range(max(1, most))]
        while len(tokens) - start > self.length:
            full = start + self.length
            end = next(
                (n for n in range(full, max(start, full - BACKTRACK), -1) if self._ends_word(tokens[n - 1][0])), full
            )
            parts.append(tuple(tokens[start:end]))
            start = end
        return [*parts, tuple(tokens[start:])]

    def _ends_word(self, token: int) -> bool:
        return self.tokenizer.convert_ids_to_tokens(token).endswith("</w>")

    def _tokens(self, prompt: str) -> list[tuple[int, float]]:
        pieces = parse(prompt)
        if not pieces:
            return []
        ids = self.tokenizer([text for text, _ in pieces], add_special_tokens=False, verbose=False).input_ids
        return [(token, weight) for row, (_, weight) in zip(ids, pieces, strict=True) for token in row]


def _weighted(hidden: Tensor, weights: list[float]) -> Tensor:
    """Each token's embedding times its weight; the chunk's norm is kept, so that contrast is not raised.

    Others restore the mean.  After a final norm it may be next to nothing (the built-in model's is 4e-5 beside a
    deviation of 1), and a quotient of two such means is chance: "(cat:2)" would scale the whole chunk by 0.68.
    """
    if all(weight == 1 for weight in weights):
        return hidden
    moved = hidden * torch.tensor(weights, device=hidden.device)[None, :, None]
    return moved * (hidden.norm() / moved.norm().clamp(min=1e-6))
