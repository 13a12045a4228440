"""Save states that survive `kill -9`: whole or absent, never half."""

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
        os.fsync(file.fileno())  # else a power cut may leave the name on an empty file
    part.replace(path)


def load(path: Path) -> dict | None:
    """Return the state at `path`, or None if nothing was saved yet."""
    return torch.load(path, weights_only=True, map_location="cpu") if path.exists() else None


def finished(folder: Path, stamp: str, steps: int) -> bool:
    """Return whether `folder` holds final weights made from `stamp` with all their steps done."""
    state = load(folder / "final.pt")
    return state is not None and state["stamp"] == stamp and state["step"] >= steps


def fingerprint(weights: dict[str, Tensor]) -> str:
    """Return twelve hex digits that change with the weights, and stay when those are stored as float16."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].detach().half().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def lock(folder: Path) -> IO[str]:
    """Return an open file that keeps a second training out of `folder`; the system frees it at any exit."""
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
