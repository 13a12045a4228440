"""Store small states to resume on another machine: averaged weights in float16, in files of at most 15 MB.

The optimiser's state is not stored; it builds up again during the warm-up with which such a run begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from . import checkpoint
from .plan import Plan

LARGEST = 15_000_000  # bytes of a file
PART = {"first": "unet", "inpaint": "unet", "base": "unet"}  # the key of the weights in a final.pt


def write(folder: Path, name: str, weights: dict[str, Tensor], facts: dict[str, object]) -> list[Path]:
    """Write `weights` as `folder`/`name`-1.safetensors and so on, each with the `facts`; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    parts, room = [{}], LARGEST
    for key, value in weights.items():
        value = value.detach().half().cpu().contiguous()
        if value.nbytes > room and parts[-1]:
            parts.append({})
            room = LARGEST
        parts[-1][key] = value
        room -= value.nbytes
    facts = {key: str(value) for key, value in facts.items()} | {"parts": str(len(parts))}
    paths = [folder / f"{name}-{number}.safetensors" for number in range(1, len(parts) + 1)]
    for path, part in zip(paths, parts, strict=True):
        save_file(part, path.with_suffix(".part"), metadata=facts)
        path.with_suffix(".part").replace(path)
    return paths


def read(folder: Path | None, name: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """Return (weights in float32, facts) as written by `write`; None if there are none or a file is missing."""
    paths = sorted(folder.glob(f"{name}-[0-9]*.safetensors")) if folder else []
    weights, facts = {}, {}
    for path in paths:
        with safe_open(path, "pt") as file:
            if facts and facts["step"] != file.metadata()["step"]:
                return None  # the files belong to different states
            facts = file.metadata()
            weights |= {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    return (weights, facts) if paths and int(facts["parts"]) == len(paths) else None


@dataclass(frozen=True, slots=True)
class Trained:
    """Weights, and the steps and seconds that led to them."""

    weights: dict[str, Tensor]
    step: int
    seconds: float


def furthest(plan: Plan, name: str) -> Trained | None:
    """Return a part's weights with the most steps: the finished ones in the work folder, or a small state."""
    final, small = checkpoint.load(plan.work / name / "final.pt"), read(plan.states, name)
    found = [] if final is None else [Trained(final[PART.get(name, name)], final["step"], final["seconds"])]
    if small is not None:
        found.append(Trained(small[0], int(small[1]["step"]), float(small[1]["seconds"])))
    return max(found, key=lambda trained: trained.step, default=None)


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Return whether two sets of weights are equal as float16."""
    return a.keys() == b.keys() and all(torch.equal(a[key].half(), b[key].half()) for key in a)
