"""pred_x0 as a small picture, for next to nothing: an affine map from latents to colours, fitted on the spot.

A run has its picture's latents and its pixels both in hand, so the map is one least-squares problem: any VAE, no
magic constants.  A ridge pulls it towards the same fit on the model's own decodes of random latents, which
is all there is without a picture and what keeps a grey photo's map from forgetting colour.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


class Preview:
    """latents [1, 4, h, w] -> RGB picture of w × h."""

    def __init__(self, weights: Tensor):
        self.map, self.bias = np.split((weights * 127.5).numpy(), [-1])  # [4, 3] and [1, 3], in levels

    def __call__(self, latents: Tensor) -> Image.Image:
        cells = np.moveaxis(latents[0].float().cpu().numpy(), 0, -1)  # [h, w, 4]
        levels = cells @ self.map + (self.bias + 127.5)
        return Image.fromarray(np.rint(np.nan_to_num(levels, copy=False).clip(0, 255)).astype(np.uint8))


def prior(model) -> Tensor:
    """[5, 3]: the fit on what the model decodes from random latents; a fraction of a second, once a model."""
    latents = torch.randn(2, model.channels, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pixels = model.decode(latents.to(model.device)).float().cpu()
    return _fit(latents, pixels, torch.zeros(model.channels + 1, 3), 1e-3)


def fit(latents: Tensor, pixels: Tensor, towards: Tensor, ridge: float = 0.02) -> Preview:
    """The map for this picture: latents [1, 4, h, w] and its pixels [1, 3, H, W] in [-1, 1]."""
    return Preview(_fit(latents.float().cpu(), pixels.float().cpu(), towards, ridge))


def _fit(latents: Tensor, pixels: Tensor, towards: Tensor, ridge: float) -> Tensor:
    """argmin |A W - colours|² / n + ridge |W - towards|²"""
    A = _design(latents)
    colours = F.adaptive_avg_pool2d(pixels, latents.shape[-2:]).permute(0, 2, 3, 1).reshape(-1, 3)
    lhs = A.T @ A / len(A) + ridge * torch.eye(A.shape[1])
    return torch.linalg.solve(lhs, A.T @ colours / len(A) + ridge * towards)


def _design(latents: Tensor) -> Tensor:
    """[B, 4, h, w] -> [B h w, 4 + 1], a one at the end of each row."""
    rows = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
    return torch.cat([rows, torch.ones(len(rows), 1)], dim=1)
