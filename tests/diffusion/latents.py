"""Make the latents and holes that samplers are tested on."""

import torch


def draw(channels: int, seed: int = 0, b: int = 1) -> torch.Tensor:
    """[b, channels, 8, 8] from a seed."""
    return torch.randn(b, channels, 8, 8, generator=torch.Generator().manual_seed(seed))


def square_hole() -> torch.Tensor:
    """[1, 1, 8, 8], 1 in the middle 4 × 4."""
    hole = torch.zeros(1, 1, 8, 8)
    hole[..., 2:6, 2:6] = 1
    return hole
