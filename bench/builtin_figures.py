"""Measure a drawn picture against the one that a perfect model would have drawn.

recognised   whether the classifier names the sticker asked for, of all of them (and whether it is in its first five)
sharpness    mean absolute Laplacian inside the thing, relative to the true sticker at the same size; 1 is as sharp
likeness     distance, 0 to 2, between the classifier's features of the drawn thing and of the true one; and SSIM
ground       mean difference of colour, in levels, between the hole beside the thing and the photo that was there,
             and the ratio of their mean absolute Laplacians
box          how often a classifier can tell a drawn picture from an untouched photo by measurements along the
             hole's edge, beside the thing; 50 % is chance
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter
from torch import nn

from training.colours import PALETTE

from . import judge

HEAD = ("recognised", "first five", "sharpness", "distance", "SSIM", "ground, levels", "its texture", "box seen")
FOLDS = 5


class Truth(NamedTuple):
    """The picture a perfect model would draw."""

    photo: np.ndarray  # uint8 [H, W, 3], untouched
    whole: np.ndarray  # uint8 [H, W, 3], the true sticker on it
    hole: np.ndarray  # bool [H, W]
    alpha: np.ndarray  # uint8 [H, W]: the sticker's opacity
    box: tuple[int, int, int, int]  # around the sticker

    @property
    def thing(self) -> np.ndarray:
        """Return bool [H, W]: the pixels well inside both the sticker and the hole."""
        return shrunk(self.alpha > 200, 1) & self.hole

    @property
    def beside(self) -> np.ndarray:
        """Return bool [H, W]: the hole without the thing and the pixels next to it."""
        return self.hole & ~grown(self.alpha > 8, 4)


class Table:
    """The figures of many pictures."""

    def __init__(self, found: nn.Sequential):
        self.found, self.rows, self.edges = found, [], []

    def add(self, which: int, drawn: np.ndarray, truth: Truth) -> bool:
        """Measure a picture, and whether sticker number `which` is recognised in it."""
        squares = [square(picture, truth.box) for picture in (drawn, truth.whole)]
        guesses = judge.name(self.found, squares[:1], 5)[0].tolist()
        seen, true = judge.features(self.found, squares)
        ground, row = truth.beside, [float(guesses[0] == which), float(which in guesses)]
        row += [ratio(drawn, truth.whole, truth.thing), (seen - true).norm().item()]
        row += [ssim(*(np.asarray(picture.convert("L"), float) for picture in squares))]
        if ground.sum() >= 64:
            row += [np.abs(drawn[ground].astype(float).mean(0) - truth.photo[ground].mean(0)).mean()]
            row += [ratio(drawn, truth.photo, ground)]
            self.edges.append((edge(drawn, truth), edge(truth.photo, truth)))
        else:
            row += [np.nan, np.nan]
        self.rows.append(row)
        return guesses[0] == which

    def row(self) -> list[str]:
        """Return the means, in the order of HEAD."""
        hit, five, sharp, distance, like, colour, texture = np.nanmean(np.array(self.rows), 0)
        box = box_seen(np.array(self.edges)) if len(self.edges) >= 2 * FOLDS else np.nan
        return [f"{hit:.1%}", f"{five:.1%}", f"{sharp:.2f}", f"{distance:.3f}", f"{like:.3f}", f"{colour:.1f}",
                f"{texture:.2f}", f"{box:.0%}"]  # fmt: skip


def square(picture: np.ndarray, box: tuple[int, int, int, int]) -> Image.Image:
    return Image.fromarray(picture).crop(box)


def grown(mask: np.ndarray, by: int) -> np.ndarray:
    """Return the mask, enlarged by `by` px on each side."""
    return np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.MaxFilter(2 * by + 1))) > 0


def shrunk(mask: np.ndarray, by: int) -> np.ndarray:
    return ~grown(~mask, by)


def laplacian(picture: np.ndarray) -> np.ndarray:
    """Return the absolute Laplacian [H, W] of the brightness, mirrored at the picture's edges."""
    grey = np.pad(picture.astype(float).mean(2), 1, mode="reflect")
    return np.abs(grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1])


def ratio(drawn: np.ndarray, true: np.ndarray, where: np.ndarray) -> float:
    """Return how sharp the drawn picture is in `where`, relative to the true one."""
    return (
        float((laplacian(drawn)[where].mean() + 0.5) / (laplacian(true)[where].mean() + 0.5)) if where.any() else 1.0
    )


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Return the structural similarity (Wang et al. 2004) of two grey pictures, in half-overlapping 8 × 8 blocks."""

    def blocks(picture: np.ndarray) -> np.ndarray:
        view = np.lib.stride_tricks.sliding_window_view(picture, (8, 8))[::4, ::4]
        return view.reshape(-1, 64)

    if min(a.shape) < 8:
        return 1.0
    x, y = blocks(a), blocks(b)
    mx, my, c1, c2 = x.mean(1), y.mean(1), (0.01 * 255) ** 2, (0.03 * 255) ** 2
    covariance = ((x - mx[:, None]) * (y - my[:, None])).mean(1)
    top = (2 * mx * my + c1) * (2 * covariance + c2)
    return float((top / ((mx**2 + my**2 + c1) * (x.var(1) + y.var(1) + c2))).mean())


def edge(picture: np.ndarray, truth: Truth) -> np.ndarray:
    """Return [8]: the differences between a band inside the hole's edge and one outside, away from the thing."""
    free = ~grown(truth.alpha > 8, 4)
    inside, outside = truth.hole & ~shrunk(truth.hole, 5) & free, ~truth.hole & grown(truth.hole, 5) & free
    line = grown(truth.hole, 1) & ~shrunk(truth.hole, 1) & free
    if min(inside.sum(), outside.sum(), line.sum()) < 16:
        return np.zeros(8)
    values, sharp = picture.astype(float), laplacian(picture)
    means = values[inside].mean(0) - values[outside].mean(0)
    spread = np.log((values[inside].std(0).mean() + 1) / (values[outside].std(0).mean() + 1))
    texture = np.log((sharp[inside].mean() + 0.5) / (sharp[outside].mean() + 0.5))
    step = np.log((sharp[line].mean() + 0.5) / ((sharp[inside].mean() + sharp[outside].mean()) / 2 + 0.5))
    return np.array([*np.abs(means) / 16, spread, texture, step, texture**2, step**2])


def box_seen(edges: np.ndarray) -> float:
    """Return the share of unseen pictures [N, 2, 8] (drawn, untouched) that logistic regression tells apart."""
    right = []
    for fold in range(FOLDS):
        seen = np.arange(len(edges)) % FOLDS != fold
        x, y = edges[seen].reshape(-1, edges.shape[2]), np.tile([1.0, 0.0], seen.sum())
        mean, deviation = x.mean(0), x.std(0) + 1e-6
        weights = fitted((x - mean) / deviation, y)
        other = (edges[~seen].reshape(-1, edges.shape[2]) - mean) / deviation
        right.append(((other @ weights[1:] + weights[0] > 0) == np.tile([True, False], (~seen).sum())).mean())
    return float(np.mean(right))


def fitted(x: np.ndarray, y: np.ndarray, steps: int = 500) -> np.ndarray:
    """Return weights [1 + d] of a logistic regression, fitted by gradient descent with slight weight decay."""
    x, weights = np.column_stack([np.ones(len(x)), x]), np.zeros(x.shape[1] + 1)
    for _ in range(steps):
        weights += 0.3 * (x.T @ (y - 1 / (1 + np.exp(-x @ weights))) / len(y) - 0.003 * weights)
    return weights


def hue(picture: np.ndarray, where: np.ndarray, names: tuple[str, ...]) -> str:
    """Return the name in PALETTE nearest to most of the colours, in chroma and with less weight in brightness."""
    votes = np.bincount(nearest(picture[where].reshape(-1, 3) / 255, names), minlength=len(names) + 1)
    return (*names, "none")[int(votes[:-1].argmax() if votes[:-1].any() else len(names))]


def nearest(colours: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Return [N]: the index of the nearest name for each colour in [0, 1], [N, 3]; len(names) for greys."""
    goals, there = opponent(np.array([PALETTE[name] for name in names])), opponent(colours)
    distance = ((there[:, None] - goals) ** 2 * (0.25, 1, 1)).sum(2)
    return np.where(np.hypot(there[:, 1], there[:, 2]) < 0.08, len(names), distance.argmin(1))


def opponent(colours: np.ndarray) -> np.ndarray:
    """Return [N, 3]: brightness, and blue and red minus brightness, as in YCbCr."""
    y = colours @ np.array([0.299, 0.587, 0.114])
    return np.stack([y, (colours[:, 2] - y) / 1.772, (colours[:, 0] - y) / 1.402], 1)


def hue_share(sticker: np.ndarray) -> float:
    """Return the share of an RGBA sticker that has one hue."""
    names = tuple(name for name in PALETTE if name not in ("black", "white", "grey", "golden", "brown"))
    seen = sticker[sticker[..., 3] > 200][:, :3] / 255
    return float(np.bincount(nearest(seen, names), minlength=len(names) + 1)[:-1].max() / max(1, len(seen)))
