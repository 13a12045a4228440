"""How a model fits into memory: a decision table, a ladder to climb down, and how to tell that it did not fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from ..errors import ModelError, OutOfMemory

PLACEMENTS = ("resident", "offload", "sequential")


@dataclass(frozen=True)
class Policy:
    """resident: everything stays on the device; offload: one network at a time; sequential: one layer at a time.

    On a CPU offload means that a network's weights, mapped from disk, give way while another one works.
    """

    placement: str = "resident"
    vae_tiling: bool = False
    attention_slicing: bool = False


def choose(kind: str, free: int, model: int, side: int, asked: str = "auto") -> Policy:
    """The policy for a device of this kind with `free` bytes, a model of `model` bytes and a working size of `side`.

    A pass needs room beside the weights, about 2 KiB for each pixel of the working size in half precision.
    """
    if kind == "cpu" and asked in ("low", "offload", "sequential"):  # slices take more there than fused attention
        return Policy("offload", vae_tiling=True)
    if asked in PLACEMENTS:
        return Policy(asked, vae_tiling=asked != "resident")
    if asked == "low":
        return Policy("offload", vae_tiling=True, attention_slicing=True)
    if asked != "auto":
        raise ModelError(f"memory cannot be {asked!r}.", f"Choose one of: auto, low, {', '.join(PLACEMENTS)}.")
    room = 2048 * side * side
    if free >= model + room:
        return Policy()
    if kind == "cpu":  # there is nowhere else to go; weights are mapped from disk and come and go by themselves
        return Policy(vae_tiling=True)
    if free >= 0.6 * model + room:  # the UNet is about that much of a model
        return Policy("offload", vae_tiling=True)
    return Policy("sequential", vae_tiling=True, attention_slicing=True)


def rung(policy: Policy, kind: str) -> tuple[Policy, str] | None:
    """One step more frugal, and the sentence that says so; None at the foot of the ladder."""
    if not policy.vae_tiling:
        return replace(policy, vae_tiling=True), "Memory ran out: the VAE now works in tiles."
    if not policy.attention_slicing:
        return replace(policy, attention_slicing=True), "Memory ran out: attention is now computed in slices, slower."
    if kind != "cpu" and policy.placement == "resident":
        return replace(policy, placement="offload"), "Memory ran out: networks now take turns on the device."
    if kind != "cpu" and policy.placement == "offload":
        return replace(policy, placement="sequential"), "Memory ran out: layers now take turns on the device, slowly."
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is any of the ways in which torch and Python say that memory ran out."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        sign in words
        for sign in (
            "out of memory",
            "can't allocate memory",
            "cannot allocate memory",
            "failed to allocate",
            "not enough memory",
            "alloc_failed",  # cuBLAS, cuDNN
            "invalid buffer size",
        )
    )  # MPS, for one tensor too large


@contextmanager
def within_memory(model) -> Iterator[None]:
    """Out of memory beyond the ladder is one sentence; what is only cached goes back to the device at the end."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise too_much() from error
    finally:
        model.free()


def too_much() -> OutOfMemory:
    """The end of the ladder, in words."""
    return OutOfMemory(
        "This picture needs more memory than there is.",
        "Try a smaller working size, fewer variations or a smaller model.",
    )
