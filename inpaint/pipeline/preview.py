"""Show pred_x0 as a small picture at almost no cost: an affine map from latents to colours, fitted to the picture.

A run has both its picture's latents and its pixels, so the map is the solution of one least-squares problem, for any
VAE and without magic constants.  A ridge term pulls it towards the same fit on the model's decodes of random latents:
without it, the map fitted to a grey photo would show no colours.  Without a picture that general fit is used alone.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .protocols import Model


def small(picture: Image.Image, side: int) -> Image.Image:
    """Return the picture at most `side` pixels long."""
    scale = min(1.0, side / max(picture.size))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    if size == picture.size:
        return picture
    return picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)


class Preview:
    """Turn latents [1, 4, h, w] into an RGB picture of w × h pixels."""

    def __init__(self, weights: Tensor):
        self.map, self.bias = np.split((weights * 127.5).numpy(), [-1])  # [4, 3] and [1, 3], in levels

    def __call__(self, latents: Tensor) -> Image.Image:
        cells = np.moveaxis(latents[0].float().cpu().numpy(), 0, -1)  # [h, w, 4]
        levels = cells @ self.map + (self.bias + 127.5)
        return Image.fromarray(np.rint(np.nan_to_num(levels, copy=False).clip(0, 255)).astype(np.uint8))


def prior(model: Model) -> Tensor:
    """Fit the map to the model's decodes of random latents: [5, 3].  Needed once per model."""
    latents = torch.randn(2, model.channels, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pixels = model.decode(latents.to(model.device)).float().cpu()
    return _fit(latents, pixels, torch.zeros(model.channels + 1, 3), 1e-3)


def fit(latents: Tensor, pixels: Tensor, towards: Tensor, ridge: float = 0.02) -> Preview:
    """Fit the map to a picture: its latents [1, 4, h, w] and its pixels [1, 3, H, W] in [-1, 1]."""
    return Preview(_fit(latents.float().cpu(), pixels.float().cpu(), towards, ridge))


def _fit(latents: Tensor, pixels: Tensor, towards: Tensor, ridge: float) -> Tensor:
    """Return the W that minimises |A W - colours|² / n + ridge |W - towards|²."""
    A = _design(latents)
    h, w = latents.shape[-2:]
    colours = F.adaptive_avg_pool2d(pixels, (h, w)).permute(0, 2, 3, 1).reshape(-1, 3)
    lhs = A.T @ A / len(A) + ridge * torch.eye(A.shape[1])
    return torch.linalg.solve(lhs, A.T @ colours / len(A) + ridge * towards)


def _design(latents: Tensor) -> Tensor:
    """Turn [B, 4, h, w] into rows [B h w, 4 + 1], with a one at the end of each."""
    rows = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
    return torch.cat([rows, torch.ones(len(rows), 1)], dim=1)
