"""Draw sample sheets, which show at a glance how the training is going."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageDraw
from torch import Tensor

from . import colours, holes, measure, portraits
from .photos import middle
from .plan import Plan
from .sample import Painter
from .stickers import Library, textures

GUIDANCE = 1.5
THINGS = (  # (a sticker's name, another colour or "" for its own)
    ("pizza", ""), ("red apple", ""), ("cat face", ""), ("rocket", ""), ("sunflower", ""), ("soccer ball", ""),
    ("grinning face", ""), ("guitar", ""), ("octopus", ""), ("locomotive", ""), ("key", ""), ("owl", ""),
    ("red apple", "blue"), ("key", "golden"), ("automobile", "green"), ("house", "purple"), ("rose", ""),
    ("banana", ""), ("penguin", ""), ("hamburger", ""), ("umbrella", ""), ("teapot", ""), ("crown", ""), ("", ""),
)  # fmt: skip


def grid(tiles: list[np.ndarray], labels: list[str], columns: int) -> Image.Image:
    """Arrange the tiles, uint8 [H, W, 3], in rows from the top left, each with its label."""
    height, width, _ = tiles[0].shape
    page = Image.new("RGB", (columns * width, -(-len(tiles) // columns) * height))
    draw = ImageDraw.Draw(page)
    for index, (tile, label) in enumerate(zip(tiles, labels, strict=True)):
        at = (index % columns * width, index // columns * height)
        page.paste(Image.fromarray(tile), at)
        draw.text((at[0] + 3, at[1] + 2), label, fill="white", stroke_width=1, stroke_fill="black")
    return page


def tiles(pixels: Tensor) -> list[np.ndarray]:
    """Split [B, 3, H, W] in [-1, 1] into B times uint8 [H, W, 3]."""
    return list(((pixels.float() + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy())


def tensor(pictures: list[Image.Image]) -> Tensor:
    """Convert tiles to [B, 3, H, W] in [-1, 1]."""
    return torch.from_numpy(np.stack([np.array(picture) for picture in pictures])).permute(0, 3, 1, 2) / 127.5 - 1


def store(path: Path, page: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page.save(path)


@torch.no_grad()
def round_trip(path: Path, vae: AutoencoderKL, held_out: list[Image.Image], library: Library) -> None:
    """Save a sheet of pairs: a picture and its round trip through the autoencoder, with decibels."""
    views = [middle(photo, measure.SIZE) for photo in held_out]
    for index, view in enumerate(list(views)):
        side, sticker = measure.SIZE * 5 // 8, library.stickers[(index * 167 + 40) % len(library.stickers)]
        stamp, at = sticker.picture.resize((side, side)), ((measure.SIZE - side) // 2,) * 2
        views.append(view.copy())
        views[-1].paste(stamp, at, stamp)
    x = tensor(views)
    y = torch.cat([vae.decode(vae.encode(view[None]).latent_dist.mode()).sample for view in x]).clamp(-1, 1)
    pairs = [tile for pair in zip(tiles(x), tiles(y), strict=True) for tile in pair]
    labels = [label for view in views for label in ("", f"{measure.psnr(vae, view):.1f} dB")]
    store(path, grid(pairs, labels, columns=6))


def drawn(path: Path, painter: Painter, library: Library, held_out: list[Image.Image], plan: Plan) -> None:
    """Save a sheet of things drawn from their exact portraits into holes in held-out photos, each hole outlined."""
    rng, count = np.random.default_rng(1), len(THINGS)
    x = tensor([middle(held_out[index % len(held_out)], plan.size) for index in range(count)]).to(plan.device)
    hole = torch.from_numpy(np.stack([holes.hole(rng, plan.size, plan.size) for _ in range(count)]))[:, None]
    hole, words = (
        hole.to(plan.device),
        portraits.words(portraits.of(*ordered(library, plan), painter.vae, plan), plan),
    )
    empty = portraits.words(portraits.nothing(8, plan), plan)
    y = torch.cat(
        [
            painter.draw(
                words[i : i + 8],
                empty[: count - i],
                guidance=GUIDANCE,
                seed=i,
                pictures=x[i : i + 8],
                hole=hole[i : i + 8],
            )
            for i in range(0, count, 8)
        ]
    )
    rim = hole ^ (torch.nn.functional.max_pool2d(hole.float(), 3, 1, 1) > 0)
    labels = [f"{colour} {name}" for name, colour in THINGS]
    store(path, grid(tiles(torch.where(rim, 1.0, y).cpu()), labels, columns=8))


def ordered(library: Library, plan: Plan) -> tuple[Tensor, Tensor]:
    """Return stamps of THINGS, [B, 4, 168, 168], colours weighted by opacity; and zeros [B], as none is small."""
    names = [sticker.name for sticker in library.stickers]
    rows = [library.stickers[names.index(name)] if name in names else None for name, _ in THINGS]
    stamps = torch.zeros(len(rows), 4, portraits.SIDE, portraits.SIDE)
    for number, sticker in enumerate(rows):
        if sticker is not None:
            colour = THINGS[number][1]
            which = torch.tensor([colours.NAMES.index(colour) if colour else -1])
            stamps[number] = colours.painted(textures([sticker], portraits.SIDE).float() / 255, which)[0]
    stamps[:, :3] *= stamps[:, 3:]
    return stamps.to(plan.device), torch.zeros(len(rows), device=plan.device)
