"""Noise that is the same on every device and at every batch size."""

from __future__ import annotations

import secrets

import torch
from torch import Tensor


class Noise:
    """Standard normal [B, 4, h, w], float32: one CPU generator an image, each call the next draw.

    Image k draws from its own `seeds[k]`, so it comes out the same alone or among others.
    """

    def __init__(self, seeds: tuple[int, ...], shape: tuple[int, int, int], device: torch.device | str = "cpu"):
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.shape, self.device = shape, device

    def __call__(self) -> Tensor:
        each = [torch.randn(self.shape, generator=g, dtype=torch.float32) for g in self.generators]
        return torch.stack(each).to(self.device)

    def states(self) -> tuple[Tensor, ...]:
        """Return where each image's generator stands, to go on from there another time."""
        return tuple(g.get_state() for g in self.generators)


def draw_seed() -> int:
    """A seed nobody chose, 0 … 2³²-1."""
    return secrets.randbits(32)
