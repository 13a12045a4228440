"""Place a thing in a hole, where its outline can be largest."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CELL = 4  # px: outlines and holes are compared on a grid of cells of this size
# The sizes of a thing that are tried, relative to the frame's longer side.
SIDES = tuple(0.94 * 0.9**k for k in range(24))
BEYOND = 0.015  # share of a thing's opaque area that may lie outside the hole
BAND = 8  # cells around the frame that no thing may cover, so that none wraps around to the other side


def canvases(outlines: Tensor, height: int, width: int, longest: int) -> Tensor:
    """Draw each outline [B, 1, s, s] at each of SIDES, with its middle at the origin: [B, K, height, width]."""
    ys, xs = (torch.arange(n, device=outlines.device, dtype=torch.float32) for n in (height, width))
    ys, xs = (torch.where(at >= n / 2, at - n, at) for at, n in ((ys, height), (xs, width)))
    layers = []
    for side in SIDES:
        y, x = torch.meshgrid(ys * 2 / (side * longest), xs * 2 / (side * longest), indexing="ij")
        grid = torch.stack([x, y], -1).expand(len(outlines), -1, -1, -1)
        layers.append(F.grid_sample(outlines, grid, align_corners=False))
    return torch.cat(layers, 1)


def placed(outlines: Tensor, holes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the largest place for each outline [B, 1, s, s] in its hole, bool [B, 1, H, W].

    Returns the thing's side in px [B], its middle (x, y) in px [B, 2], and whether it fits at all [B].
    """
    free = F.avg_pool2d(holes.float(), CELL)
    height, width = free.shape[2:]
    outside = F.pad(1 - free, (0, BAND, 0, BAND), value=1.0)
    shapes = canvases(outlines, *outside.shape[2:], max(height, width))
    spectra = torch.fft.rfft2(outside) * torch.fft.rfft2(shapes).conj()
    # [B, K, h, w]: the area outside the hole for each position of the middle
    over = torch.fft.irfft2(spectra, s=outside.shape[2:])
    area = shapes.sum((2, 3)).clamp(min=1e-3)
    least, at = over.flatten(2).min(2)  # [B, K]
    share = least / area
    fits = share <= BEYOND
    chosen = torch.where(fits.any(1), fits.float().argmax(1), share.argmin(1))  # SIDES go from large to small
    at = at.gather(1, chosen[:, None])[:, 0]
    side = outlines.new_tensor(SIDES)[chosen] * max(height, width) * CELL
    rows = torch.div(at, outside.shape[3], rounding_mode="floor")
    middle = torch.stack([at % outside.shape[3], rows], 1).float() * CELL + CELL / 2
    return side, middle, fits.any(1)
