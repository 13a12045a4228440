"""Encode prompts of any length with CLIP, with weights in brackets, BREAK, and learned words."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .. import paths
from ..errors import InvalidRequest
from . import prompt_syntax, textual_inversion
from .prompt_weights import parse
from .textual_inversion import Embedding

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTokenizer

CLIP = paths.CLIP
CACHED_CHUNKS = 64
LAYERS = ("last", "pooled", "hidden")
BACKTRACK = 10  # tokens: a chunk may end this much early so as not to cut a word


def tokenizer(folder: Path | None = None, sub: str = "tokenizer", kind: str = "CLIPTokenizer") -> CLIPTokenizer:
    """Return the tokenizer in folder/sub, of this class in transformers; or CLIP's, whose vocabulary is shipped."""
    if folder and kind != "CLIPTokenizer":
        import transformers

        return getattr(transformers, kind).from_pretrained(str(folder / sub), local_files_only=True)
    from transformers import CLIPTokenizer

    own = folder / sub if folder else CLIP
    if any((own / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        return CLIPTokenizer.from_pretrained(str(own))
    settings = own / "tokenizer_config.json"  # Stable Diffusion 2 differs from CLIP only in its padding token
    pad = json.loads(settings.read_text(encoding="utf-8"))["pad_token"] if settings.is_file() else "<|endoftext|>"
    return CLIPTokenizer.from_pretrained(str(CLIP), pad_token=pad)


class Text:
    """A tokenizer and its text encoder.  `length` is how many tokens of a prompt fit into one chunk."""

    def __init__(self, tokenizer: CLIPTokenizer, encoder: CLIPTextModel, embeddings: Iterable[Embedding] = ()):
        self.tokenizer, self.embeddings = tokenizer, tuple(embeddings)
        self.size = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)  # 77 for CLIP
        self.length = self.size - 2  # without the begin and end tokens
        self.cache: OrderedDict[tuple, Tensor] = OrderedDict()
        self.first_learned = encoder.get_input_embeddings().num_embeddings  # ids from here on are learned words
        self.learned = self._number_embeddings()  # {name in lower case: its ids}
        self.pattern = prompt_syntax.pattern(self.learned)
        self.replace_encoder(encoder)

    def embed(
        self, prompts: list[str], *, clip_skip: int = 0, layer: str = "last", chunks: int | None = None
    ) -> Tensor:
        """Encode prompts to [B, chunks · size, d], float32: all as long as the longest, or cut to `chunks`.

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
                    [self._cached(part, clip_skip, layer) for part in (*parts[:most], *[()] * (most - len(parts)))],
                    dim=1,
                )
                for parts in split
            ]
        )

    def count(self, prompt: str) -> int:
        """Return how many tokens the prompt has."""
        return sum(map(len, self._sections(prompt)))

    def forget(self) -> None:
        """Clear the cache, as is needed after the encoder has changed."""
        self.cache.clear()

    def replace_encoder(self, encoder: CLIPTextModel) -> None:
        """Use another text encoder with the same vocabulary, such as one with LoRAs merged into it."""
        self.encoder = textual_inversion.extended(encoder, self.embeddings)
        self.forget()

    def _number_embeddings(self) -> dict[str, range]:
        """Return the token ids of each learned word by its names; if two share a name, the earlier one keeps it."""
        found: dict[str, range] = {}
        first = self.first_learned
        for embedding in self.embeddings:
            ids = range(first, first + len(embedding.vectors))
            for name in embedding.names:
                found.setdefault(name.lower(), ids)
            first = ids.stop
        return found

    def _cached(self, part: tuple, clip_skip: int, layer: str) -> Tensor:
        """Return a chunk's embeddings [1, size, d], cached, so that a changed word costs only its own chunk."""
        key = part, clip_skip, layer
        if key not in self.cache:
            self.cache[key] = self._chunk(part, clip_skip, layer)
            while len(self.cache) > CACHED_CHUNKS:
                self.cache.popitem(last=False)
        self.cache.move_to_end(key)
        return self.cache[key].to(self._device())  # the encoder may have moved since

    def _device(self) -> torch.device:
        """Return the device for ids and embeddings: the CPU if accelerate's hooks stream the encoder from there."""
        device = self.encoder.device
        return torch.device("cpu") if device.type == "meta" else device

    @torch.no_grad()
    def _chunk(self, part: tuple, clip_skip: int, layer: str) -> Tensor:
        """Encode up to `length` (token, weight) pairs to [1, size, d]."""
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
        """Return the prompt's tokens in chunks that split no word, unless it is longer than BACKTRACK tokens."""
        if most is not None:  # cut anywhere, and read literally, as the article's program does
            tokens = self._literal(parse(prompt))
            return [tuple(tokens[k * self.length : (k + 1) * self.length]) for k in range(max(1, most))]
        parts: list[tuple[tuple[int, float], ...]] = []
        for tokens in self._sections(prompt):
            start = 0
            while len(tokens) - start > self.length:
                full = start + self.length
                ends = range(full, max(start, full - BACKTRACK), -1)
                end = next((n for n in ends if self._ends_word(tokens[n - 1][0])), full)
                parts.append(tuple(tokens[start:end]))
                start = end
            parts.append(tuple(tokens[start:]))
        return parts

    def _ends_word(self, token: int) -> bool:
        if token >= self.first_learned:
            return any(token == ids[-1] for ids in self.learned.values())
        return self.tokenizer.convert_ids_to_tokens(token).endswith("</w>")

    def _sections(self, prompt: str) -> list[list[tuple[int, float]]]:
        """Return the (token, weight) pairs between BREAKs; at least one list, perhaps empty."""
        found: list[list[tuple[int, float]]] = [[]]
        for text, weight in parse(prompt_syntax.without_tags(prompt)):
            for k, section in enumerate(prompt_syntax.BREAK.split(text)):
                if k and found[-1]:
                    found.append([])
                found[-1] += self._words(section, weight)
        return found if found[-1] or len(found) == 1 else found[:-1]

    def _words(self, text: str, weight: float) -> list[tuple[int, float]]:
        """Return the (token, weight) pairs of a text, its learned words among them."""
        if self.pattern is None:
            return self._literal([(text, weight)])
        found, start = [], 0
        for match in self.pattern.finditer(text):
            found += self._literal([(text[start : match.start()], weight)])
            found += [(token, weight) for token in self.learned[match["name"].lower()]]
            start = match.end()
        return found + self._literal([(text[start:], weight)])

    def _literal(self, pieces: list[tuple[str, float]]) -> list[tuple[int, float]]:
        """Return the (token, weight) pairs of weighted texts, without learned words."""
        pieces = [piece for piece in pieces if piece[0]]
        if not pieces:
            return []
        ids = self.tokenizer([text for text, _ in pieces], add_special_tokens=False, verbose=False).input_ids
        return [(token, weight) for row, (_, weight) in zip(ids, pieces, strict=True) for token in row]


def _weighted(hidden: Tensor, weights: list[float]) -> Tensor:
    """Multiply each token's embedding by its weight and keep the chunk's norm, so that contrast does not rise.

    Other programs restore the mean instead.  But after a final norm the mean may be nearly zero (the built-in model's
    is 4e-5, with a deviation of 1), and the ratio of two such means is random: "(cat:2)" would scale the whole chunk
    by 0.68.
    """
    if all(weight == 1 for weight in weights):
        return hidden
    moved = hidden * torch.tensor(weights, device=hidden.device)[None, :, None]
    return moved * (hidden.norm() / moved.norm().clamp(min=1e-6))
