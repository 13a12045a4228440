"""Encode scenes into latents: once, cached on disk, on a CPU; continuously on a GPU, where encoding is fast."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Generator, Tensor

from . import checkpoint, portraits, vae
from .plan import Plan
from .scenes import Scenes, Tables, stamps
from .stickers import Library

PARTS = ("clean", "masked", "hole", "portrait")
AT_ONCE = 64  # pictures through the autoencoder
FEW = 16  # scenes composed at once on a CPU, so that they stay in its caches


@torch.no_grad()
def encode(model: AutoencoderKL, scenes: Scenes, plan: Plan) -> dict[str, Tensor]:
    """Encode the pictures, and the pictures with grey holes: float16 [B, 4, h, w], unscaled.

    Grey is 0 in [-1, 1], as in SD-inpainting.  Also returns the holes' cells, bool [B, 1, h, w], and the portraits of
    the things in them, float16 [B, 49, 60].
    """
    pictures = torch.cat([scenes.pictures, scenes.pictures * ~scenes.holes])
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    with plan.autocast():
        z = torch.cat([model.quant_conv(model.encoder(some))[:, :4] for some in pictures.split(AT_ONCE)])
    clean, masked = z.half().chunk(2)
    cells = F.max_pool2d(scenes.holes.float(), 8).bool()  # even a thin stroke repaints its cell
    portrait = portraits.of(scenes.stamps, scenes.small, model, plan).half()
    return {"clean": clean, "masked": masked, "hole": cells, "portrait": portrait}


def generator(plan: Plan, *numbers: int) -> Generator:
    """Return a generator on the plan's device, seeded by the seed and the numbers."""
    seed = plan.seed
    for number in numbers:
        seed = (seed * 1_000_003 + number + 1) % 2**63
    return Generator(plan.device).manual_seed(seed)


def shards(plan: Plan) -> list[Path]:
    """Return the cache's files; file n holds scenes of the frame `plan.frames[n % len(plan.frames)]`."""
    return [plan.work / "cache" / f"{number:04d}.pt" for number in range(plan.scenes // plan.shard)]


def fill(library: Library, plan: Plan) -> None:
    """Write every missing shard to disk; shards made with another autoencoder are deleted first."""
    model, stamp = vae.load(plan)
    mark = plan.work / "cache" / "vae"
    if mark.exists() and mark.read_text() != stamp:
        shutil.rmtree(mark.parent)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(stamp)
    missing = [(number, path) for number, path in enumerate(shards(plan)) if not path.exists()]
    pictures = stamps(library, plan) if missing else None
    for number, path in missing:
        tables = Tables(library, pictures, plan.frames[number % len(plan.frames)], plan, number)
        rng = generator(plan, 2, number)
        counts = [min(FEW, plan.shard - start) for start in range(0, plan.shard, FEW)]
        parts = [encode(model, tables.batch(count, rng), plan) for count in counts]
        checkpoint.save(path, {name: torch.cat([part[name] for part in parts]) for name in PARTS})


class Cached:
    """Batches from the shards on disk; each scene is used many times, and nothing is encoded."""

    def __init__(self, plan: Plan):
        self.plan, self.pools = plan, {}
        for number, path in enumerate(shards(plan)):
            self.pools.setdefault(plan.frames[number % len(plan.frames)], []).append(checkpoint.load(path))
        self.pools = {
            frame: {name: torch.cat([part[name] for part in parts]) for name in PARTS}
            for frame, parts in self.pools.items()
        }
        self.frames = [frame for frame in plan.frames if frame in self.pools]

    def at(self, step: int, rng: Generator) -> dict[str, Tensor]:
        """Return the scenes of a step; `rng` draws everything random in it."""
        pool = self.pools[self.frames[int(torch.randint(len(self.frames), (1,), generator=rng))]]
        chosen = torch.randint(len(pool["clean"]), (self.plan.batch * self.plan.stride,), generator=rng)
        return {name: pool[name][chosen] for name in PARTS}


class Fresh:
    """Scenes made on the training device: a pool of latents, part of which is replaced in each step."""

    def __init__(self, library: Library, plan: Plan):
        self.plan, (self.model, _) = plan, vae.load(plan)
        pictures = stamps(library, plan)
        self.tables = {frame: Tables(library, pictures, frame, plan) for frame in dict.fromkeys(plan.frames)}
        self.pools: dict[tuple[int, int], dict[str, Tensor]] = {}
        for number, frame in enumerate(self.tables):
            rng = generator(plan, 8, number)
            parts = [self.made(frame, plan.fresh, rng) for _ in range(plan.pool // plan.fresh)]
            self.pools[frame] = {name: torch.cat([part[name] for part in parts]) for name in PARTS}

    def made(self, frame: tuple[int, int], count: int, rng: Generator) -> dict[str, Tensor]:
        return encode(self.model, self.tables[frame].batch(count, rng), self.plan)

    @torch.no_grad()
    def at(self, step: int, rng: Generator) -> dict[str, Tensor]:
        """Return the scenes of a step; some are new, the others were used before."""
        frame = self.plan.frames[step // self.plan.stride % len(self.plan.frames)]
        pool, new = self.pools[frame], self.made(frame, self.plan.fresh, rng)
        chosen = torch.randint(
            len(pool["clean"]), (self.plan.batch * self.plan.stride,), generator=rng, device=self.plan.device
        )
        old = torch.randint(len(pool["clean"]), (self.plan.fresh,), generator=rng, device=self.plan.device)
        for name in PARTS:
            pool[name][old] = new[name]
        return {name: pool[name][chosen] for name in PARTS}
