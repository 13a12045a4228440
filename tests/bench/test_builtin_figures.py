"""Check the figures of the built-in model's benchmark: best for perfect pictures, worse for each kind of fault."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from bench import builtin_figures as figures
from bench import judge
from training.colours import NAMES, PALETTE, painted


@pytest.fixture(scope="module")
def found():
    """A classifier with random weights: its features still distinguish pictures."""
    torch.manual_seed(0)
    return judge.network(9).eval()


def truth(seed: int = 0) -> figures.Truth:
    """A striped disc in a square hole in noise."""
    rng = np.random.default_rng(seed)
    photo = rng.integers(90, 130, (96, 96, 3), dtype=np.uint8)
    layer = Image.new("RGBA", (96, 96))
    draw = ImageDraw.Draw(layer)
    draw.ellipse((32, 32, 63, 63), fill=(220, 30, 30, 255))
    for x in range(36, 60, 4):
        draw.line((x, 38, x, 58), fill=(250, 230, 230, 255))
    whole = Image.alpha_composite(Image.fromarray(photo).convert("RGBA"), layer).convert("RGB")
    hole = np.zeros((96, 96), bool)
    hole[16:80, 16:80] = True
    return figures.Truth(photo, np.array(whole), hole, np.asarray(layer)[..., 3], (30, 30, 66, 66))


def figures_of(found, drawn) -> dict[str, float]:
    table = figures.Table(found)
    for seed in range(12):
        one = truth(seed)
        table.add(0, drawn(one), one)
    return dict(zip(figures.HEAD, (float(cell.rstrip("%")) for cell in table.row()), strict=True))


def test_a_perfect_picture_gets_perfect_figures(found):
    perfect = figures_of(found, lambda one: one.whole)
    assert perfect["sharpness"] == pytest.approx(1, abs=0.01)
    assert perfect["distance"] == pytest.approx(0, abs=0.01)
    assert perfect["SSIM"] == pytest.approx(1, abs=0.001)
    assert perfect["ground, levels"] == 0
    assert perfect["its texture"] == 1
    assert perfect["box seen"] == 50


def test_a_soft_picture_is_told_by_its_sharpness(found):
    def soft(one: figures.Truth) -> np.ndarray:
        return np.asarray(Image.fromarray(one.whole).filter(ImageFilter.GaussianBlur(2)))

    figure = figures_of(found, soft)
    assert figure["sharpness"] < 0.4
    assert figure["SSIM"] < 0.9


def test_a_box_is_seen_by_its_colour_and_by_its_texture(found):
    def tinted(one: figures.Truth) -> np.ndarray:
        return np.where(one.beside[..., None], one.whole // 2 + 70, one.whole).astype(np.uint8)

    figure = figures_of(found, tinted)
    assert figure["box seen"] > 90
    assert 5 < figure["ground, levels"] < 30
    assert figure["its texture"] < 0.7
    assert figure["sharpness"] == pytest.approx(1, abs=0.01), "the thing itself is as it was"


def test_another_thing_is_further_away(found):
    def other(one: figures.Truth) -> np.ndarray:
        drawn = Image.fromarray(one.photo)
        ImageDraw.Draw(drawn).rectangle((32, 32, 63, 63), fill=(20, 60, 240))
        return np.array(drawn)

    assert figures_of(found, other)["distance"] > 0.1


@pytest.mark.parametrize("name", ["red", "orange", "yellow", "green", "blue", "purple", "pink"])
def test_the_hue_of_most_of_a_thing_is_named(name):
    names = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
    sticker = torch.ones(1, 4, 16, 16) * 0.6
    sticker[:, 0] = 0.9
    picture = painted(sticker, torch.tensor([NAMES.index(name)]))[0, :3].permute(1, 2, 0).numpy()
    picture[:5] = 0.5  # some grey counts for nothing
    assert figures.hue((255 * picture).astype(np.uint8), np.ones((16, 16), bool), names) == name
    assert name in PALETTE
    assert figures.hue(np.full((8, 8, 3), 128, np.uint8), np.ones((8, 8), bool), names) == "none"
