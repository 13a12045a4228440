"""Fit a model into memory: choose a policy, choose a leaner one when memory runs out, and recognise that it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from ..errors import ModelError, OutOfMemory

PASS = 2048  # bytes that a pass needs beside the weights, for each pixel of the working size, in half precision
PLACEMENTS = ("resident", "offload", "sequential")
T = TypeVar("T")


@dataclass(frozen=True)
class Policy:
    """How a model uses memory.

    placement    what is on the device: resident, everything; offload, one network at a time; sequential, one layer at
                 a time.  On a CPU offload pages out a network's weights, mapped from disk, while another one runs
    second_copy  whether OpenVINO may hold a second copy of the UNet's weights
    """

    placement: str = "resident"
    vae_tiling: bool = False
    attention_slicing: bool = False
    second_copy: bool = True


def choose(kind: str, free: int, model: int, side: int, asked: str = "auto", largest: int = 0) -> Policy:
    """Return the policy for a device with `free` bytes, a model of `model` bytes and a working size of `side`.

    largest  bytes of its largest network; 0 if unknown, then 0.6 of the model, as in Stable Diffusion

    A pass needs memory beside the weights.
    """
    if kind == "cpu" and asked in ("low", "offload", "sequential"):  # slices need more there than fused attention
        return Policy("offload", vae_tiling=True)
    if asked in PLACEMENTS:
        return Policy(asked, vae_tiling=asked != "resident")
    if asked == "low":
        return Policy("offload", vae_tiling=True, attention_slicing=True)
    if asked != "auto":
        raise ModelError(f"memory cannot be {asked!r}.", f"Choose one of: auto, low, {', '.join(PLACEMENTS)}.")
    room = PASS * side * side
    if free >= model + room:
        return Policy()
    if kind == "cpu":  # weights are mapped from disk, so the system drops and reads them as needed
        return Policy(vae_tiling=True)
    if free >= (largest or 0.6 * model) + room:
        return Policy("offload", vae_tiling=True)
    return Policy("sequential", vae_tiling=True, attention_slicing=True)


def next_policy(policy: Policy, kind: str, network: str) -> tuple[Policy, str] | None:
    """Return a policy that needs less memory for this network ("unet", "vae", "text"), and a note; None if none does.

    Fused attention on CUDA stores no attention matrix, so slices would save nothing there.
    """
    if network == "vae" and not policy.vae_tiling:
        return replace(policy, vae_tiling=True), "Memory ran out: the VAE works in tiles for this picture."
    if network == "unet" and kind != "cuda" and not policy.attention_slicing:
        return replace(policy, attention_slicing=True), "Memory ran out: attention is computed in slices, slower."
    if kind != "cpu" and policy.placement == "resident":
        return replace(policy, placement="offload"), "Memory ran out: networks take turns on the device."
    if kind != "cpu" and policy.placement == "offload":
        return replace(policy, placement="sequential"), "Memory ran out: layers take turns on the device, slowly."
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether this is any of the errors by which torch and Python report that memory ran out."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    words = str(error).lower()
    signs = (
        "out of memory",
        "can't allocate memory",
        "cannot allocate memory",
        "failed to allocate",
        "not enough memory",
        "alloc_failed",  # cuBLAS, cuDNN
        "invalid buffer size",  # MPS, for one tensor too large
    )
    return isinstance(error, RuntimeError) and any(sign in words for sign in signs)


class MemoryFallback:
    """Reduce a job's memory step by step when it runs out: fewer variations at a time, then leaner policies.

    batch  how many variations are made at a time
    notes  receives a sentence for each step

    If nothing is left to reduce, the work is repeated once, since cached memory has been freed.  The next job begins
    with the model's own policy again.
    """

    def __init__(self, model, notes: list[str], batch: int):
        self.model, self.notes, self.batch, self.repeated = model, notes, batch, False
        self.run("text", model.restore_policy)

    def run(self, network: str, work: Callable[[], T]) -> T:
        """Return work(); repeat it with less memory each time it runs out.  Raises OutOfMemory if nothing helps."""
        while True:
            try:
                return work()
            except Exception as error:
                self.free_some_memory(network, error)

    def free_some_memory(self, network: str, error: Exception) -> None:
        """Take the next step after an out-of-memory error; raise any other error, or OutOfMemory if none is left."""
        if not is_out_of_memory(error):
            raise error
        error.__traceback__ = None  # its frames still hold the tensors that did not fit
        self.model.free()
        if network == "unet" and self.batch > 1:
            self.batch = (self.batch + 1) // 2
            self.notes.append(f"Memory ran out: variations are made {self.batch} at a time.")
            return
        note = self.model.free_some_memory(network)
        if note is None:
            if self.repeated:
                raise too_much() from error
            note, self.repeated = "Memory ran out: caches were freed, and the work was repeated.", True
        self.notes.append(note)


@contextmanager
def within_memory(model) -> Iterator[None]:
    """Turn out-of-memory errors into one sentence, and free the device's cached memory at the end."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise too_much() from error
    finally:
        model.free()


def too_much() -> OutOfMemory:
    """Return the error for a picture that does not fit into memory, even with the leanest policy."""
    return OutOfMemory(
        "This picture needs more memory than this machine has.",
        "Try a smaller working size, fewer variations or a smaller model.",
    )
