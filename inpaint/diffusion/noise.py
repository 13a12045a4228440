"""Draw seeded noise that is the same on every device and at every batch size."""

from __future__ import annotations

import secrets

import torch
from torch import Tensor


class Noise:
    """Draw standard normal noise [B, 4, h, w], float32: one CPU generator per image, each call the next draw.

    Image k draws from its own `seeds[k]`, so it comes out the same alone or in a batch.
    """

    def __init__(self, seeds: tuple[int, ...], shape: tuple[int, int, int], device: torch.device | str = "cpu"):
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.shape, self.device = shape, torch.device(device)

    def __call__(self) -> Tensor:
        """Return the next draw, on the device.

        On CUDA the copy goes through pinned memory, so that the host does not wait for the step before.
        """
        draw = torch.stack([torch.randn(self.shape, generator=g, dtype=torch.float32) for g in self.generators])
        if self.device.type == "cuda":
            return draw.pin_memory().to(self.device, non_blocking=True)
        return draw.to(self.device)

    def states(self) -> tuple[Tensor, ...]:
        """Return the state of each image's generator, so that the draws can continue later."""
        return tuple(g.get_state() for g in self.generators)


def draw_seed() -> int:
    """Return a random seed, 0 … 2³²-1."""
    return secrets.randbits(32)
