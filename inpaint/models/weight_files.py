"""Read weight files without running code in them; explain each fault in one sentence."""

from __future__ import annotations

import json
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InpaintError, ModelError

MAX_HEADER = 100_000_000  # bytes, the format's own limit
ADVICE = "Download it again."


def is_safetensors(path: Path) -> bool:
    """Return whether a file name ends in .safetensors, in lower or upper case."""
    return path.suffix.lower() == ".safetensors"


def shapes(path: Path, allow_pickle: bool = False) -> dict[str, list[int]]:
    """Return {tensor name: shape}; for .safetensors only the header is read."""
    if is_safetensors(path):
        return header(path)
    return {name: list(tensor.shape) for name, tensor in tensors(path, allow_pickle).items()}


def tensors(path: Path, allow_pickle: bool = False) -> dict[str, Tensor]:
    """Return all tensors by name, memory-mapped where possible.

    Raises ModelError for a pickle unless they are allowed; even then only plain weights are read.
    """
    if is_safetensors(path):
        header(path)  # its errors say exactly what is wrong
        with readable(path.name):
            from safetensors.torch import load_file

            return load_file(path)
    loaded = unpickled(path, allow_pickle)
    with readable(path.name):
        loaded = loaded.get("state_dict", loaded)
        return {name: value for name, value in loaded.items() if isinstance(value, Tensor)}


def unpickled(path: Path, allow_pickle: bool) -> Any:
    """Return the contents of a pickle of plain weights, if pickles are allowed; else raise ModelError."""
    if not allow_pickle:
        raise ModelError(
            f"{path.name} is a pickle, which can run programs.",
            "Use a .safetensors file, or allow pickles if you trust it.",
        )
    with readable(path.name):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def header(path: Path) -> dict[str, list[int]]:
    """Return {tensor name: shape} of a safetensors file; raise ModelError if it is damaged or of another kind."""
    entries, end, room = _entries(path)
    if end != room:
        raise ModelError(f"{path.name} is cut off or damaged: {room} bytes of weights where {end} belong.", ADVICE)
    return {name: [int(n) for n in entry["shape"]] for name, entry in entries.items() if name != "__metadata__"}


def metadata(path: Path) -> dict[str, str]:
    """Return a safetensors file's metadata; {} for any other file."""
    notes = _entries(path)[0].get("__metadata__") if is_safetensors(path) else None
    return {str(key): str(value) for key, value in notes.items()} if isinstance(notes, dict) else {}


def _entries(path: Path) -> tuple[dict[str, Any], int, int]:
    """Return a safetensors header's entries, where the last tensor ends, and how many bytes there are for them."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(size - 8, MAX_HEADER):
                raise ModelError(f"{path.name} is not a safetensors file, or it is cut off.", ADVICE)
            entries = json.loads(file.read(length))
        own = [entry for name, entry in entries.items() if name != "__metadata__"]
        if any(not isinstance(n, int) or n < 0 for entry in own for n in entry["shape"]):
            raise ValueError
        end = max((int(entry["data_offsets"][1]) for entry in own), default=0)
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read.", "Check the path.") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ModelError(f"{path.name} is not a safetensors file.", ADVICE) from error
    return entries, end, size - 8 - length


def count(found: dict[str, list[int]]) -> int:
    """Return the number of parameters in tensors of these shapes."""
    return sum(map(prod, found.values()))


def complete(name: str, missing, unexpected=(), mismatched=()) -> None:
    """Raise ModelError if a weight is missing, unexpected or misshapen."""
    missing = [key for key in missing if "position_ids" not in key]
    unexpected = [key for key in unexpected if "position_ids" not in key]
    for problem, keys in (
        ("lacks {}", missing),
        ("has {} unknown", unexpected),
        ("has {} misshapen", mismatched),
    ):
        if keys:
            some = f"weight{'s' * (len(keys) > 1)}, such as {sorted(map(str, keys))[0]}"
            raise ModelError(
                f"The model {name} {problem.format(len(keys))} {some}.",
                "It is another kind of model, or its file is damaged.",
            )


@contextmanager
def readable(name: str):
    """Turn any error that a library raises inside the block into a ModelError about the file `name`."""
    from ..memory.policy import is_out_of_memory

    try:
        yield
    except InpaintError:
        raise
    except ImportError as error:  # a configuration can ask for a library, for example for quantized weights
        raise ModelError(
            f"The model file {name} needs the Python package {error.name}, which is not installed.",
            "Choose a model in plain weights, float32 or half precision.",
        ) from error
    except Exception as error:  # safetensors, pickle, torch, diffusers and transformers raise their own kinds
        if is_out_of_memory(error):
            raise
        raise ModelError(f"The model file {name} is damaged or of another kind.", ADVICE) from error
