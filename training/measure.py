"""Measure how well the autoencoder reproduces pictures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import Image

from .photos import middle
from .stickers import Sticker

SIZE = 256  # px, the working size


@torch.no_grad()
def psnr(vae: AutoencoderKL, picture: Image.Image) -> float:
    """Return decibels between a picture and its round trip: 10 log10(4 / MSE) with pixels in [-1, 1]."""
    x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 127.5 - 1  # [1, 3, H, W]
    y = vae.decode(vae.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
    return 10 * math.log10(4 / max(1e-9, F.mse_loss(y, x).item()))


def photos(vae: AutoencoderKL, held_out: list[Image.Image]) -> float:
    """Return the mean PSNR over the held-out photos: the middle square of each, and its middle half."""
    views = [middle(photo, SIZE, share=share) for photo in held_out for share in (1.0, 0.5)]
    return float(np.mean([psnr(vae, view) for view in views]))


def stickers(vae: AutoencoderKL, library: list[Sticker], held_out: list[Image.Image]) -> tuple[float, float]:
    """Return the mean PSNR of 24 stickers (on plain grey, on held-out photos), each 160 px wide in 256 px."""
    plain, scenes = [], []
    for index in range(min(24, len(library))):
        sticker = library[index * len(library) // 24 if len(library) > 24 else index].picture
        side = SIZE * 5 // 8
        stamp, at = sticker.resize((side, side), Image.Resampling.LANCZOS), ((SIZE - side) // 2,) * 2
        grey = Image.new("RGB", (SIZE, SIZE), (200, 200, 200))
        ground = middle(held_out[index % len(held_out)], SIZE)
        for picture, figures in ((grey, plain), (ground, scenes)):
            picture.paste(stamp, at, stamp)
            figures.append(psnr(vae, picture))
    return float(np.mean(plain)), float(np.mean(scenes))


def log(path: Path, step: int, vae: AutoencoderKL, held_out: list[Image.Image], library: list[Sticker]) -> None:
    """Write a row of decibels: step, held-out photos, stickers on grey, stickers on held-out photos."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text("step,photos,stickers,scenes\n")
    row = [photos(vae, held_out), *stickers(vae, library, held_out)]
    with path.open("a") as file:
        file.write(f"{step}," + ",".join(f"{figure:.2f}" for figure in row) + "\n")
