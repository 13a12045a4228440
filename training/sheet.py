"""Sample sheets: one look tells how the training does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageDraw
from torch import Tensor

from . import measure
from .photos import middle
from .sample import Painter
from .scenes import Library

GUIDANCE = 3.0
PROMPTS = (
    "pizza",
    "red apple",
    "cat face",
    "rocket",
    "sunflower",
    "soccer ball",
    "grinning face",
    "guitar",
    "a slice of pizza",
    "octopus",
    "locomotive",
    "key",
    "background",
    "",
    "",
    "",
)


def grid(tiles: list[np.ndarray], labels: list[str], columns: int) -> Image.Image:
    """The tiles, uint8 [H, W, 3], in rows from the top left, each with its label."""
    height, width, _ = tiles[0].shape
    page = Image.new("RGB", (columns * width, -(-len(tiles) // columns) * height))
    draw = ImageDraw.Draw(page)
    for index, (tile, label) in enumerate(zip(tiles, labels, strict=True)):
        at = (index % columns * width, index // columns * height)
        page.paste(Image.fromarray(tile), at)
        draw.text((at[0] + 3, at[1] + 2), label, fill="white", stroke_width=1, stroke_fill="black")
    return page


def tiles(pixels: Tensor) -> list[np.ndarray]:
    """[B, 3, H, W] in [-1, 1] -> B times uint8 [H, W, 3]."""
    return list(((pixels.float() + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy())


def tensor(pictures: list[Image.Image]) -> Tensor:
    """[B, 3, H, W] in [-1, 1]."""
    return torch.from_numpy(np.stack([np.array(one) for one in pictures])).permute(0, 3, 1, 2) / 127.5 - 1


def store(path: Path, page: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page.save(path)


@torch.no_grad()
def round_trip(path: Path, vae: AutoencoderKL, held_out: list[Image.Image], library: Library) -> None:
    """Pairs of pictures: as they were, and through the autoencoder, with decibels."""
    views = [middle(photo, measure.SIZE) for photo in held_out]
    for index, view in enumerate(list(views)):
        side, sticker = measure.SIZE * 5 // 8, library.stickers[(index * 167 + 40) % len(library.stickers)]
        stamp, at = sticker.picture.resize((side, side)), ((measure.SIZE - side) // 2,) * 2
        views.append(view.copy())
        views[-1].paste(stamp, at, stamp)
    x = tensor(views)
    y = torch.cat([vae.decode(vae.encode(one[None]).latent_dist.mode()).sample for one in x]).clamp(-1, 1)
    pairs = [tile for pair in zip(tiles(x), tiles(y), strict=True) for tile in pair]
    labels = [label for view in views for label in ("", f"{measure.psnr(vae, view):.1f} dB")]
    store(path, grid(pairs, labels, columns=6))


def drawn(path: Path, painter: Painter, held_out: list[Image.Image], size: int) -> None:
    """What the prompts give: whole pictures by the base model, holes in photos by the 9-channel one."""
    grounds = [middle(photo, size) for photo in held_out]
    x = tensor([grounds[index % len(grounds)] for index in range(len(PROMPTS))])
    hole = torch.zeros(len(PROMPTS), 1, size, size, dtype=torch.bool)
    edge = size * 7 // 32  # leaves a hole of 9/16 of the side
    hole[:, :, edge:-edge, edge:-edge] = True
    y = torch.cat(
        [
            painter.draw(
                list(PROMPTS[i : i + 4]),
                guidance=GUIDANCE,
                seed=i,
                size=size,
                pictures=x[i : i + 4],
                hole=hole[i : i + 4],
            )
            for i in range(0, len(PROMPTS), 4)
        ]
    )
    store(path, grid(tiles(y), list(PROMPTS), columns=4))
