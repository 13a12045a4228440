"""Make portraits, numbers that describe how a thing looks: the text encoder learns to write them, UNets to read them.

A portrait has 49 positions, 7 × 7 squares of a picture of 168 px.  Each holds its 3 × 3 latent cells minus those of
grey, their opacity, whether the thing is to be small, and the square's row and column: 60 numbers, the first of the
text encoder's 320.  The UNets are trained on portraits of the stickers themselves and ignore the other numbers, so
text encoder and UNets can be trained in any order, and either can be improved without the other.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from . import tokenizer
from .plan import Plan

GRID, CELLS = 7, 3  # positions on a side, latent cells on a side of each
WIDE = GRID * CELLS  # latent cells on a side of a portrait
SIDE = 8 * WIDE  # px on a side of the picture
DRAWN = 5 * CELLS**2  # numbers at a position that describe how it looks
NUMBERS = DRAWN + 1 + 2 * GRID  # the same with the size, and the position's row and column
POSITIONS = GRID**2
VAGUE = 0.3  # the most noise on the portraits that a UNet is trained on, since the text encoder is never exact


@torch.no_grad()
def of(stamps: Tensor, small: Tensor, model: AutoencoderKL, plan: Plan) -> Tensor:
    """Return portraits [B, 49, 60] of stamps [B, 4, s, s] in [0, 1], whose colours are weighted by their opacity."""
    stamps = F.interpolate(stamps, (SIDE, SIDE), mode="bilinear", antialias=True).clamp(0, 1)
    alpha = stamps[:, 3:]
    pictures = 2 * (stamps[:, :3] + (1 - alpha) / 2) - 1  # on grey
    cells = torch.cat([beyond_grey(pictures, model, plan), 2 * F.avg_pool2d(alpha, 8)], 1)
    cells = cells * (alpha.amax((1, 2, 3), keepdim=True) > 0)  # exactly 0 for an empty stamp, without rounding errors
    return laid_out(cells, small)


@torch.no_grad()
def beyond_grey(pictures: Tensor, model: AutoencoderKL, plan: Plan) -> Tensor:
    """Return latents [B, 4, h, w] of pictures on grey, [B, 3, H, W] in [-1, 1], minus those of grey alone.

    Grey alone is encoded in float32: it varies so little that normalising it in bfloat16 is inexact.
    """
    plain = model.encode(torch.zeros_like(pictures[:1])).latent_dist.mode()
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    with plan.autocast():
        z = torch.cat([model.quant_conv(model.encoder(some))[:, :4] for some in pictures.split(64)])
    return z.float() - plain


def laid_out(cells: Tensor, small: Tensor) -> Tensor:
    """Return [B, 49, 60] from latents and opacity [B, 5, 21, 21] and a flag [B]."""
    cells = cells.unflatten(3, (GRID, CELLS)).unflatten(2, (GRID, CELLS))  # [B, 5, 7, 3, 7, 3]
    cells = cells.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)  # [B, 49, 45]
    places = torch.cartesian_prod(torch.arange(GRID), torch.arange(GRID))  # [49, 2]
    places = F.one_hot(places, GRID).flatten(1).to(cells).expand(len(cells), -1, -1)  # [B, 49, 14]
    return torch.cat([cells, small.to(cells).view(-1, 1, 1).expand(-1, POSITIONS, 1), places], 2)


def nothing(count: int, plan: Plan) -> Tensor:
    """Return portraits [B, 49, 60] of background alone."""
    return laid_out(torch.zeros(count, 5, WIDE, WIDE, device=plan.device), torch.zeros(count))


def words(portraits: Tensor, plan: Plan) -> Tensor:
    """Return what an exact text encoder would output for these portraits: [B, 49, 60] -> [B, L, width]."""
    hidden = portraits.new_zeros(len(portraits), tokenizer.LENGTH, plan.text_width)
    hidden[:, -POSITIONS:, :NUMBERS] = portraits
    return hidden


def vague(portraits: Tensor, rng: torch.Generator) -> Tensor:
    """Return the portraits with noise on the numbers that describe the looks, more on some than on others."""

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng, device=portraits.device)

    amount = VAGUE * torch.rand(len(portraits), 1, 1, generator=rng, device=portraits.device)
    noise = amount * random(len(portraits), POSITIONS, DRAWN)
    return torch.cat([portraits[..., :DRAWN] + noise, portraits[..., DRAWN:]], 2)
