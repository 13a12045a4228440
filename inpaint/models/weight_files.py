"""Weight files: what they hold, read without running anything, and one sentence for each way they can be wrong."""

from __future__ import annotations

import json
from contextlib import contextmanager
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ModelError

MAX_HEADER = 100_000_000  # bytes, the format's own limit


def shapes(path: Path, allow_pickle: bool = False) -> dict[str, list[int]]:
    """{tensor name: shape}; of a .safetensors file only the header is read."""
    if path.suffix == ".safetensors":
        return header(path)
    return {name: list(tensor.shape) for name, tensor in tensors(path, allow_pickle).items()}


def tensors(path: Path, allow_pickle: bool = False) -> dict[str, Tensor]:
    """All weights by name, mapped from the file where it can be.  Pickles only if allowed, and only plain weights."""
    if path.suffix != ".safetensors" and not allow_pickle:
        raise ModelError(
            f"{path.name} is a pickle, which can run programs.",
            "Use a .safetensors file, or allow pickles if you trust it.",
        )
    with readable(path.name):
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        loaded = loaded.get("state_dict", loaded)
        return {name: value for name, value in loaded.items() if isinstance(value, Tensor)}


def header(path: Path) -> dict[str, list[int]]:
    """{tensor name: shape} of a safetensors file; ModelError if it is none, is cut off, or its header lies."""
    advice = "Download it again."
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(size - 8, MAX_HEADER):
                raise ModelError(f"{path.name} is no safetensors file, or it is cut off.", advice)
            entries = json.loads(file.read(length))
        entries.pop("__metadata__", None)
        found = {str(name): [int(n) for n in entry["shape"]] for name, entry in entries.items()}
        end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read.", "Check the path.") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ModelError(f"{path.name} is no safetensors file.", advice) from error
    if end != size - 8 - length:
        raise ModelError(f"{path.name} is cut off: {size} bytes where {end + 8 + length} belong.", advice)
    return found


def count(found: dict[str, list[int]]) -> int:
    """How many parameters tensors of these shapes have."""
    return sum(map(prod, found.values()))


def complete(name: str, missing, unexpected=(), mismatched=()) -> None:
    """ModelError unless every weight found its place."""
    missing = [key for key in missing if "position_ids" not in key]
    unexpected = [key for key in unexpected if "position_ids" not in key]
    for what, keys in (("lacks", missing), ("has unknown", unexpected), ("has misshapen", mismatched)):
        if keys:
            raise ModelError(
                f"The model {name} {what} {len(keys)} weights, such as {sorted(map(str, keys))[0]}.",
                "It is another kind of model, or its file is damaged.",
            )


@contextmanager
def readable(name: str):
    """Whatever the libraries say about a file that cannot be read becomes one sentence."""
    from pickle import UnpicklingError

    from safetensors import SafetensorError

    from ..memory.policy import is_out_of_memory

    try:
        yield
    except (
        SafetensorError,
        UnpicklingError,
        OSError,
        ValueError,
        RuntimeError,
        KeyError,
        TypeError,
        AttributeError,
        AssertionError,
        EOFError,
    ) as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(f"The model file {name} is damaged or of another kind.", "Download it again.") from error
