"""Recolour stickers, with the colours that people ask for: red, golden, black …"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# sRGB in [0, 1] of a surface in middling light; shadows are darker, highlights nearer to white.
PALETTE = {
    "red": (0.85, 0.13, 0.15),
    "orange": (0.97, 0.50, 0.08),
    "yellow": (0.98, 0.84, 0.13),
    "green": (0.20, 0.66, 0.25),
    "blue": (0.13, 0.42, 0.90),
    "purple": (0.53, 0.24, 0.78),
    "pink": (0.98, 0.50, 0.70),
    "brown": (0.50, 0.30, 0.17),
    "golden": (0.86, 0.66, 0.20),
    "black": (0.13, 0.13, 0.15),
    "white": (0.93, 0.93, 0.94),
    "grey": (0.56, 0.57, 0.60),
}
NAMES = tuple(PALETTE)
SPOKEN = {"purple": ("violet",), "golden": ("gold", "gold"), "grey": ("gray",)}  # other words for a colour
LUMA = (0.299, 0.587, 0.114)
BINS = 24  # of the colour circle, used to find a sticker's main hue
GREY = 0.06  # a sticker with a lower mean chroma has no colour of its own, so all of it is painted


def chroma(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split colours [B, 3, H, W] into (luma, chroma, hue in radians), each [B, 1, H, W]."""
    y = (rgb * rgb.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    u, v = 0.5 * (rgb[:, 2:] - y) / (1 - LUMA[2]), 0.5 * (rgb[:, :1] - y) / (1 - LUMA[0])  # as in YCbCr
    return y, torch.hypot(u, v), torch.atan2(v, u)


def main_hue(amount: Tensor, hue: Tensor) -> Tensor:
    """Return the main hue of each picture, [B, 1, 1, 1] in radians, weighted by `amount` [B, 1, H, W]."""
    bins = ((hue / (2 * torch.pi)) % 1 * BINS).long().clamp(max=BINS - 1).flatten(1)  # [B, H W]
    counts = torch.zeros(len(hue), BINS, device=hue.device).scatter_add_(1, bins, amount.flatten(1))
    counts = counts + 0.7 * (counts.roll(1, 1) + counts.roll(-1, 1))
    return ((counts.argmax(1).float() + 0.5) / BINS * 2 * torch.pi).view(-1, 1, 1, 1)


def painted(stickers: Tensor, colours: Tensor) -> Tensor:
    """Give each sticker, RGBA [B, 4, H, W] in [0, 1], the colour PALETTE[NAMES[i]]; −1 leaves it unchanged.

    Only the parts in the sticker's main hue are painted, so the leaf of a blue apple stays green.  A sticker with
    hardly any colour is painted all over.
    """
    rgb, alpha = stickers[:, :3], stickers[:, 3:]
    y, amount, hue = chroma(rgb)
    area = alpha.sum((2, 3), keepdim=True).clamp(min=1e-3)
    grey = (amount * alpha).sum((2, 3), keepdim=True) / area < GREY
    apart = (hue - main_hue(amount * alpha, hue)) / torch.pi  # in half turns
    apart = (apart - 2 * (apart / 2).round()).abs()
    share = ((0.42 - apart) / 0.14).clamp(0, 1) * (amount / 0.05).clamp(0, 1)
    share = torch.where(grey, torch.ones_like(share), share)
    middle = (y * share * alpha).sum((2, 3), keepdim=True) / (share * alpha).sum((2, 3), keepdim=True).clamp(min=1e-3)
    light = (y / middle.clamp(min=0.05)).clamp(max=1)
    shine = 0.8 * ((y - middle) / (1.08 - middle)).clamp(0, 1) ** 1.5
    goal = rgb.new_tensor([PALETTE[name] for name in NAMES])[colours.clamp(min=0)].view(-1, 3, 1, 1)
    new = goal * light + (1 - goal) * shine
    share = share * (colours >= 0).view(-1, 1, 1, 1)
    return torch.cat([rgb + share * (new - rgb), alpha], 1)


def smaller(stickers: Tensor, side: int) -> Tensor:
    """Resize RGBA [B, 4, H, W] in [0, 1] without dark rims: colours are weighted by their opacity."""
    alpha = stickers[:, 3:]
    small = F.interpolate(
        torch.cat([stickers[:, :3] * alpha, alpha], 1), (side, side), mode="bicubic", antialias=True
    ).clamp(0, 1)
    alpha = small[:, 3:]
    return torch.cat([(small[:, :3] / alpha.clamp(min=1e-3)).clamp(0, 1), alpha], 1)
