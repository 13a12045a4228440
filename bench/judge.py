"""Train a small classifier that names the sticker in a square, or says that there is none.

It is trained only on renderings of the stickers, never on a model's drawings: stickers on crops of the training
photos, slightly moved, scaled, turned, lit and blurred, and bare crops as the class "nothing".  Training takes five
minutes on one core; the weights are stored beside the stickers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from PIL import Image, ImageFilter
from torch import Tensor, nn

from training import checkpoint
from training.grounds import ground
from training.patches import lit
from training.stickers import Library

SIDE = 40  # px: enough to tell the stickers apart, too small to show fine texture
STEPS, BATCH, PEAK, SEED = 2_500, 128, 2e-3, 11
NOTHING = 0.08  # share of bare grounds
WARM = 96  # px: grounds are cropped to this size ahead of time, and squares are cut from them


def network(classes: int) -> nn.Sequential:
    """Return the network: [B, 3, 40, 40] in [-1, 1] -> [B, classes + 1]; the last class is "nothing"."""

    def block(a: int, b: int, stride: int) -> list[nn.Module]:
        return [nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]

    return nn.Sequential(
        *block(3, 32, 1),
        *block(32, 64, 2),
        *block(64, 64, 1),
        *block(64, 128, 2),
        *block(128, 128, 1),
        *block(128, 256, 2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(256 * 25, classes + 1),
    )


class Renderings:
    """Squares with a sticker or nothing in them, and their classes."""

    def __init__(self, library: Library, seed: int):
        self.small = [sticker.picture.resize((72, 72), Image.Resampling.LANCZOS) for sticker in library.stickers]
        rng = np.random.default_rng([seed, 0])
        self.grounds = [ground(rng, library.photos, WARM) for _ in range(1_500)]

    def batch(self, rng: Generator, count: int) -> tuple[Tensor, Tensor]:
        """Return ([B, 3, 40, 40], classes [B])."""
        classes = rng.integers(len(self.small), size=count)
        classes[rng.random(count) < NOTHING] = len(self.small)
        return to_tensor([self.square(rng, int(c)) for c in classes]), torch.from_numpy(classes)

    def square(self, rng: Generator, which: int) -> Image.Image:
        """Return one square of 40 × 40 px."""
        picture = self.grounds[rng.integers(len(self.grounds))].copy()
        side = int(rng.integers(40, WARM))  # how much of the ground is visible
        x, y = (int(at) for at in rng.integers(0, WARM - side + 1, 2))
        picture = picture.crop((x, y, x + side, y + side)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        if which < len(self.small):
            inner = int(SIDE * rng.uniform(0.68, 1.0))
            stamp = self.small[which]
            if rng.random() < 0.1:
                stamp = stamp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            if rng.random() < 0.3:
                stamp = stamp.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR)
            stamp = stamp.resize((inner, inner), Image.Resampling.BILINEAR)
            free = SIDE - inner
            at = [int(free / 2 + rng.uniform(-0.5, 0.5) * min(free, 8)) for _ in range(2)]
            picture.paste(stamp, tuple(at), stamp)
        if rng.random() < 0.5:
            picture = lit(rng, picture)
        if rng.random() < 0.5:
            picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2)))
        return picture


def to_tensor(pictures: list[Image.Image]) -> Tensor:
    """Convert squares to [B, 3, 40, 40] in [-1, 1]."""
    squares = [np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX)) for picture in pictures]
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 127.5 - 1


def train(library: Library) -> nn.Sequential:
    """Train the classifier and return it."""
    torch.manual_seed(SEED)
    judge, renderings = network(len(library.stickers)), Renderings(library, SEED)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=PEAK, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, STEPS, pct_start=0.1)
    for step in range(STEPS):
        x, y = renderings.batch(np.random.default_rng([SEED, 1, step]), BATCH)
        with torch.autocast("cpu", torch.bfloat16):
            scores = judge(x)
        loss = F.cross_entropy(scores.float(), y, label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 250 == 0:
            print(f"classifier: step {step} of {STEPS}, loss {loss.item():.2f}", flush=True)
    return judge.eval()


def load(library: Library, work: Path) -> nn.Sequential:
    """Return the classifier, from `work/judge.pt` or trained now."""
    path = work / "judge.pt"
    weights = checkpoint.load(path)
    if weights is None:
        checkpoint.save(path, train(library).state_dict())
        weights = checkpoint.load(path)
    judge = network(len(library.stickers))
    judge.load_state_dict(weights)
    return judge.eval()


@torch.no_grad()
def accuracy(judge: nn.Sequential, library: Library, held_out: Library, count: int = 2_000) -> tuple[float, float]:
    """Return its accuracy on renderings over photos that it was not trained on: (stickers, nothing)."""
    x, y = Renderings(held_out, SEED + 1).batch(np.random.default_rng([SEED, 2]), count)
    right, bare = judge(x).argmax(1) == y, y == len(library.stickers)
    return right[~bare].float().mean().item(), right[bare].float().mean().item()


@torch.no_grad()
def name(judge: nn.Sequential, squares: list[Image.Image], top: int = 1) -> Tensor:
    """Return [B, top]: the likeliest classes of each square, the likeliest first."""
    return judge(to_tensor(squares)).topk(top, dim=1).indices


@torch.no_grad()
def features(judge: nn.Sequential, squares: list[Image.Image]) -> Tensor:
    """Return [B, 6400] of length 1: the classifier's features of each square."""
    return F.normalize(judge[:-2](to_tensor(squares)), dim=1)
