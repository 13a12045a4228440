"""Save states so that even `kill -9` leaves no half-written file."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from typing import IO

import torch
from torch import Tensor


def save(path: Path, state: dict) -> None:
    """Save `state` at `path`: written beside it, flushed, then renamed over it in one atomic step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())  # otherwise a power cut may leave an empty file of that name
    part.replace(path)


def load(path: Path) -> dict | None:
    """Return the state at `path`, or None if nothing was saved yet."""
    return torch.load(path, weights_only=True, map_location="cpu") if path.exists() else None


def finished(folder: Path, stamp: str, steps: int) -> bool:
    """Return whether `folder` holds final weights made from `stamp` with all their steps done."""
    state = load(folder / "final.pt")
    return state is not None and state["stamp"] == stamp and state["step"] >= steps


def fingerprint(weights: dict[str, Tensor]) -> str:
    """Return twelve hex digits that identify the weights; storing them as float16 does not change the digits."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].detach().half().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def lock(folder: Path) -> IO[str]:
    """Lock `folder` against a second training; return the open lock file, which the system frees at any exit."""
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        pid = file.read().strip()
        file.close()
        raise SystemExit(f"Process {pid} is training in {folder}; stop it or pass another --work.") from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
