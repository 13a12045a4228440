"""Compose scenes: a photo, a hole as people paint them, and in it the whole thing that the words name.

Cutting grounds and drawing holes is slow with many small pictures, so it is done once, in tables; scenes are composed
from these in whole batches, on the training device.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from . import captions
from .colours import painted
from .grounds import ground
from .holes import hole
from .place import placed
from .plan import Plan
from .stickers import Library, textures

TEXTURE, OUTLINE = 192, 48  # px a side
BARE = 0.10  # share of scenes with nothing in the hole
ABOUT = 0.10  # share of scenes with another sticker outside the hole
ROOMY = (0.90, 1.0)  # a thing's size, relative to the largest that fits
SMALLER = (0.42, 0.62)  # the same for a thing that is to be small
TURNED, LIT = 0.2, 0.25  # shares of things that are slightly rotated, and that are relit


@dataclass(frozen=True, slots=True)
class Scenes:
    """A batch of pictures with holes, and their contents."""

    pictures: Tensor  # [B, 3, H, W] in [-1, 1]
    holes: Tensor  # bool [B, 1, H, W]
    stamps: Tensor  # [B, 4, 192, 192] in [0, 1]: the things that the words ask for, colours weighted by their opacity
    small: Tensor  # bool [B]: whether the words ask for a small thing


def stamps(library: Library, plan: Plan) -> Tensor:
    """Return uint8 [N, 4, 192, 192]: the stickers, on the plan's device."""
    return textures(library.stickers, TEXTURE).to(plan.device)


class Tables:
    """The parts that scenes are composed from: stickers, grounds, holes of one frame size, and orders."""

    def __init__(self, library: Library, stamps: Tensor, frame: tuple[int, int], plan: Plan, part: int = 0):
        """Make the tables.

        stamps  the stickers' textures
        frame   width and height in px
        part    a number; each part gets other grounds, holes and orders
        """
        seed = [plan.seed, 2, *frame, part]
        rng, self.frame = np.random.default_rng(seed), frame
        self.textures = stamps
        self.grounds = table(lambda rng: np.asarray(ground(rng, library.photos, max(frame))), plan.grounds, seed)
        self.grounds = self.grounds.permute(0, 3, 1, 2).to(plan.device)  # [G, 3, S, S]
        self.holes = table(lambda rng: hole(rng, *frame), plan.holes, seed)[:, None].to(plan.device)  # [H, 1, h, w]
        orders = [
            captions.background(rng) if rng.random() < BARE else captions.order(rng, library.stickers)
            for _ in range(plan.orders)
        ]
        things = np.full((len(orders), 2, 2), -1)
        for n, order in enumerate(orders):
            for k, thing in enumerate(order.things):
                things[n, k] = thing.sticker, thing.colour
        self.things = torch.from_numpy(things).to(plan.device)  # [N, 2, (sticker or -1, colour or -1)]
        self.small = torch.tensor([order.small for order in orders], device=plan.device)

    def batch(self, count: int, rng: Generator) -> Scenes:
        """Compose `count` scenes; `rng` must be on the tables' device."""

        def row(table: Tensor) -> Tensor:
            return torch.randint(len(table), (count,), generator=rng, device=table.device)

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(count, generator=rng, device=self.holes.device)

        order, holes = row(self.things), self.holes[row(self.holes)]
        holes = torch.where((uniform(0, 1) < 0.5).view(-1, 1, 1, 1), holes.flip(3), holes)
        pictures = self.ground(row(self.grounds), uniform(0, 1) < 0.5)
        other = self.stamp(row(self.textures), torch.full((count,), -1, device=holes.device))
        anywhere = torch.stack([uniform(0, n) for n in self.frame], 1)
        about = layer(other, uniform(60, 170), anywhere, uniform(0, 0), self.frame)
        pictures = over(about * (~holes & (uniform(0, 1) < ABOUT).view(-1, 1, 1, 1)), pictures)
        stamps, described = self.ordered(order, holes)
        side, middle, fits = placed(F.interpolate(stamps[:, 3:], (OUTLINE, OUTLINE), mode="area"), holes)
        small = self.small[order]
        side = side * torch.where(small, uniform(*SMALLER), uniform(*ROOMY))
        lit = (uniform(0, 1) < LIT).float()
        stamps = relit(stamps, 1 + lit * uniform(-0.15, 0.15), lit * uniform(-0.06, 0.06))
        lean = uniform(-0.12, 0.12) * (uniform(0, 1) < TURNED)
        thing = layer(stamps, side, middle, lean, self.frame)
        # Where the thing does not fit, widen the hole around it.
        tight = ~fits.view(-1, 1, 1, 1) & (F.max_pool2d(thing[:, 3:], 9, 1, 4) > 0.05)
        return Scenes(over(thing, pictures) * 2 - 1, holes | tight, described, small)

    def ground(self, rows: Tensor, flip: Tensor) -> Tensor:
        """Return [B, 3, H, W] in [0, 1]: the middles of those grounds, mirrored where `flip`."""
        width, height = self.frame
        top, left = (self.grounds.shape[2] - height) // 2, (self.grounds.shape[3] - width) // 2
        x = self.grounds[rows, :, top : top + height, left : left + width].float() / 255
        return torch.where(flip.view(-1, 1, 1, 1), x.flip(3), x)

    def stamp(self, rows: Tensor, colours: Tensor) -> Tensor:
        """Return [B, 4, 192, 192]: those stickers in those colours (−1: their own), weighted by their opacity."""
        stamps = self.textures[rows.clamp(min=0)].float() / 255
        new = (colours >= 0).nonzero()[:, 0]
        stamps[new] = painted(stamps[new], colours[new])
        stamps[:, :3] *= stamps[:, 3:]
        return stamps * (rows >= 0).view(-1, 1, 1, 1)

    def ordered(self, rows: Tensor, holes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ordered things, [B, 4, 192, 192], twice: arranged to fit the holes, and as in their portraits.

        Of two things one is beside the other, but above it in tall holes.
        """
        things = self.things[rows]
        described = self.stamp(things[:, 0, 0], things[:, 0, 1])
        pairs = (things[:, 1, 0] >= 0).nonzero()[:, 0]
        if not len(pairs):
            return described, described
        first, second = (
            F.avg_pool2d(each, 2) for each in (described[pairs], self.stamp(things[pairs, 1, 0], things[pairs, 1, 1]))
        )
        quarter = TEXTURE // 4
        beside = F.pad(torch.cat([first, second], 3), (0, 0, quarter, quarter))
        above = F.pad(torch.cat([first, second], 2), (quarter, quarter, 0, 0))
        wide, tall = (holes[pairs].any(axis).float().sum((1, 2)) for axis in (2, 3))
        described = described.index_copy(0, pairs, beside)
        upright = torch.where((tall > 1.25 * wide).view(-1, 1, 1, 1), above, beside)
        return described.index_copy(0, pairs, upright), described


def table(made: Callable[[np.random.Generator], np.ndarray], count: int, seed: list[int]) -> Tensor:
    """Make `count` rows with one thread per core; each is seeded by the seed and its number."""
    with ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as pool:
        rows = pool.map(lambda number: made(np.random.default_rng([*seed, number])), range(count))
        return torch.from_numpy(np.stack(list(rows)))


def over(front: Tensor, back: Tensor) -> Tensor:
    """Lay RGBA [B, 4, H, W], colours weighted by their opacity, over RGB [B, 3, H, W]."""
    return front[:, :3] + (1 - front[:, 3:]) * back


def relit(stamps: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
    """Relight stamps, colours weighted by their opacity, by gain and offset [B]."""
    colours = stamps[:, :3] * gain.view(-1, 1, 1, 1) + offset.view(-1, 1, 1, 1) * stamps[:, 3:]
    return torch.cat([colours.clamp(min=0).minimum(stamps[:, 3:]), stamps[:, 3:]], 1)


def layer(stamps: Tensor, side: Tensor, middle: Tensor, lean: Tensor, frame: tuple[int, int]) -> Tensor:
    """Draw each stamp [B, 4, s, s], `side` px large, around its `middle`, rotated by radians: [B, 4, H, W]."""
    width, height = frame
    half = F.avg_pool2d(stamps, 2)
    soft = F.interpolate(half, stamps.shape[2:], mode="bilinear")
    softer = F.interpolate(F.avg_pool2d(half, 2), stamps.shape[2:], mode="bilinear")
    side = side.view(-1, 1, 1)
    stamps = torch.where((side < 0.55 * TEXTURE)[..., None], soft, stamps)  # so that shrinking does not alias
    stamps = torch.where((side < 0.28 * TEXTURE)[..., None], softer, stamps)
    y, x = torch.meshgrid(
        torch.arange(height, device=side.device) + 0.5, torch.arange(width, device=side.device) + 0.5, indexing="ij"
    )
    dx, dy = x - middle[:, 0].view(-1, 1, 1), y - middle[:, 1].view(-1, 1, 1)
    c, s = lean.cos().view(-1, 1, 1), lean.sin().view(-1, 1, 1)
    grid = torch.stack([c * dx + s * dy, c * dy - s * dx], 3) * 2 / side[..., None]
    return F.grid_sample(stamps, grid, align_corners=False)
