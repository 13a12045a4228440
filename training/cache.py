"""Scenes encoded ahead of time: the UNets meet each many times, the autoencoder once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from . import checkpoint, vae
from .plan import Plan
from .scenes import Library, scene


@dataclass(frozen=True, slots=True)
class Cache:
    """Encoded scenes; h = w = size / 8."""

    clean: Tensor  # float16 [N, 4, h, w], unscaled
    masked: Tensor  # float16 [N, 4, h, w]: the picture with its hole grey
    hole: Tensor  # bool [N, 1, h, w]
    captions: list[str]
    titles: list[str]

    @property
    def scale(self) -> float:
        """What brings latents to unit deviation: the autoencoder's scaling factor."""
        return 1 / self.clean.float().std().item()


@torch.no_grad()
def encode(model: AutoencoderKL, library: Library, shard: int, plan: Plan) -> dict:
    """Shard number `shard`: a function of the seed, the size and the number."""
    rng = np.random.default_rng([plan.seed, 2, plan.size, shard])
    scenes = [scene(rng, library, plan.size) for _ in range(plan.shard)]
    clean, masked, holes = [], [], []
    for start in range(0, len(scenes), 16):
        some = scenes[start : start + 16]
        x = vae.pixels(np.stack([one.picture for one in some]))  # [B, 3, H, W]
        hole = torch.from_numpy(np.stack([one.hole for one in some]))[:, None]  # [B, 1, H, W]
        with torch.autocast("cpu", torch.bfloat16):
            # Grey is 0 in [-1, 1], as in SD-inpainting.
            z = model.quant_conv(model.encoder(torch.cat([x, x * ~hole]))).float()[:, :4]
        clean.append(z[: len(some)].half())
        masked.append(z[len(some) :].half())
        holes.append(F.max_pool2d(hole.float(), 8).bool())  # so a hairline stroke still repaints its cell
    return {
        "clean": torch.cat(clean),
        "masked": torch.cat(masked),
        "hole": torch.cat(holes),
        "captions": [one.caption for one in scenes],
        "titles": [one.title for one in scenes],
    }


def shards(plan: Plan) -> list[Path]:
    """The files of the plan's size."""
    return [plan.work / "cache" / str(plan.size) / f"{number:04d}.pt" for number in range(plan.scenes // plan.shard)]


def fill(library: Library, plan: Plan) -> None:
    """Every shard on disk; those of another autoencoder are thrown away first."""
    model, stamp = vae.load(plan)
    mark = plan.work / "cache" / "vae"
    if mark.exists() and mark.read_text() != stamp:
        shutil.rmtree(mark.parent)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(stamp)
    for number, path in enumerate(shards(plan)):
        if not path.exists():
            checkpoint.save(path, encode(model, library, number, plan))


def load(plan: Plan) -> Cache:
    """All the shards as one."""
    parts = [checkpoint.load(path) for path in shards(plan)]
    tensors = [torch.cat([part[name] for part in parts]) for name in ("clean", "masked", "hole")]
    texts = [[text for part in parts for text in part[name]] for name in ("captions", "titles")]
    return Cache(*tensors, *texts)
