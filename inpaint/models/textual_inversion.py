"""Add textual-inversion embeddings, words learned from pictures, to a text encoder's vocabulary.

Gal et al. 2022 (arXiv 2208.01618).  A file holds one vector for each token of the new word.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..files import fingerprint
from . import weight_files
from .registry import family

if TYPE_CHECKING:
    from transformers import CLIPTextModel

FOLDER = ("learned_embeds.safetensors", "learned_embeds.bin")  # as diffusers' trainer saves it
XL, PAIR = "Stable Diffusion XL", ("clip_l", "clip_g")  # its two text encoders, as such files name them
LONGEST = 75  # tokens, as many as one chunk of a prompt


@dataclass(frozen=True, eq=False)
class Embedding:
    """One learned word: its names in a prompt, its vectors [n, d], and its file's fingerprint.

    second  the vectors [n, D] for the second text encoder of Stable Diffusion XL
    """

    names: tuple[str, ...]
    vectors: Tensor
    stamp: str
    second: Tensor | None = None

    def of_encoder(self, k: int) -> Embedding:
        """Return the word as the first (0) or second (1) text encoder learned it."""
        return self if k == 0 or self.second is None else replace(self, vectors=self.second)


def read(entry: str | Path, allow_pickle: bool = False) -> tuple[Embedding, ...]:
    """Read the embeddings in a file, "path" or "name=path"; the name, or else the file's, can be used in prompts."""
    name, path = _parsed(str(entry))
    with weight_files.readable(path.name):
        found = _vectors(path, allow_pickle)
        stamp = fingerprint.of_files([path])
        if not found:
            raise ModelError(f"{path.name} holds no textual-inversion embedding.", "Choose another file.")
        embeddings = [_embedding(path.name, token, tensor, stamp) for token, tensor in found.items()]
        if set(PAIR) <= found.keys():
            embeddings = [_paired(path.name, *(_embedding(path.name, "", found[part], stamp) for part in PAIR))]
    if len(embeddings) > 1:
        return tuple(embeddings)
    return (replace(embeddings[0], names=(name, *embeddings[0].names)),)


def check_kind(embeddings: Iterable[Embedding], encoders: int, width: int | None) -> None:
    """Raise ModelError for an embedding made for another kind of model.

    encoders  how many text encoders of the model learn words;  width  of the text that its denoiser attends to
    """
    for embedding in embeddings:
        theirs = XL if embedding.second is not None else family(embedding.vectors.shape[1])
        if encoders == 0:
            raise ModelError("This model takes no textual-inversion embeddings.", "Leave them out.")
        if encoders != (1 if embedding.second is None else 2):
            raise ModelError(
                f"The embedding {embedding.names[0]} is made for {theirs}, and this is {family(width or 0)}.",
                "Use it with the model it was made for.",
            )
    check_width(embeddings, width if encoders == 1 else None)


def check_width(embeddings: Iterable[Embedding], width: int | None) -> None:
    """Raise ModelError for an embedding made for a text encoder of another width."""
    for embedding in embeddings:
        theirs = embedding.vectors.shape[1]
        if width and theirs != width:
            raise ModelError(
                f"The embedding {embedding.names[0]} is made for {family(theirs)}, and this is {family(width)}.",
                "Use it with the model it was made for.",
            )


def extended(encoder: CLIPTextModel, embeddings: Iterable[Embedding]) -> CLIPTextModel:
    """Append these vectors to the text encoder's vocabulary, in place; return it."""
    embeddings, own = tuple(embeddings), encoder.get_input_embeddings().weight
    if embeddings:
        check_width(embeddings, own.shape[1])
        table = torch.cat([own, *(embedding.vectors.to(own) for embedding in embeddings)])
        encoder.set_input_embeddings(nn.Embedding.from_pretrained(table))
    return encoder


def _parsed(entry: str) -> tuple[str, Path]:
    """Return (name, file) of "path" or "name=path"; raise ModelError if there is no such file."""
    name, equals, rest = entry.partition("=")
    path = Path(entry)
    if equals and not path.exists():
        path = Path(rest)
    else:
        name = ""
    with suppress(RuntimeError):  # a home directory that is not there
        path = path.expanduser()
    name = name or path.stem
    if path.is_dir():
        path = next((path / file for file in FOLDER if (path / file).is_file()), path)
    if not path.is_file():
        raise ModelError(f"There is no embedding file {entry}.", "Check the path.")
    return name, path


def _vectors(path: Path, allow_pickle: bool) -> dict[str, Tensor]:
    """Return {token: vectors} of a file; the token is "" if the file names none."""
    if weight_files.is_safetensors(path):
        found: Any = weight_files.tensors(path)
    else:
        found = weight_files.unpickled(path, allow_pickle)
    if "string_to_param" in found:  # the format of the original program
        return {"": next(iter(found["string_to_param"].values())).detach()}
    if "emb_params" in found:
        return {"": found["emb_params"]}
    return {token: value for token, value in found.items() if isinstance(value, Tensor) and "." not in token}


def _paired(file: str, first: Embedding, second: Embedding) -> Embedding:
    """Return the word that two text encoders learned; both must have made it of as many vectors."""
    if len(first.vectors) != len(second.vectors):
        raise ModelError(f"{file} has another number of vectors for each text encoder.", "Download it again.")
    return replace(first, second=second.vectors)


def _embedding(file: str, token: str, tensor: Tensor, stamp: str) -> Embedding:
    """Return one learned word; raise ModelError if its vectors cannot be embeddings."""
    vectors = tensor if tensor.ndim == 2 else tensor[None]
    if vectors.ndim != 2 or not 1 <= len(vectors) <= LONGEST or not vectors.is_floating_point():
        raise ModelError(f"{file} holds no textual-inversion embedding.", "Choose another file.")
    if not vectors.isfinite().all():
        raise ModelError(f"{file} holds invalid values.", "Download it again.")
    return Embedding((token,) if token else (), vectors.float(), stamp)
