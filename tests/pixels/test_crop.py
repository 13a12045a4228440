"""Check close-ups: inside the picture, around the hole, at the model's size, and back without a shift."""

import random

import numpy as np
import pytest
from PIL import Image

from inpaint.pixels.crop import Box, Crop


@pytest.mark.parametrize("seed", range(200))
def test_any_box_in_any_picture(seed):
    dice = random.Random(seed)
    size = tuple(dice.choice((1, 7, 60, dice.randint(1, most))) for most in (3000, 2000))
    left, top = dice.randrange(size[0]), dice.randrange(size[1])
    hole = Box(left, top, dice.randint(left + 1, size[0]), dice.randint(top + 1, size[1]))
    side = dice.choice((64, 128, 256, 512))
    around = Crop.around(hole, size, side, dice.choice((0, 32)), dice.choice((1.0, 1.5)))
    for crop in (around, Crop.whole(size, side)):
        box = crop.box
        assert 0 <= box.left <= hole.left and hole.right <= box.right <= size[0]
        assert 0 <= box.top <= hole.top and hole.bottom <= box.bottom <= size[1]
        assert all(n % 8 == 0 and n >= 8 for n in crop.size)
        assert 0.5 * side**2 <= crop.size[0] * crop.size[1] <= 1.3 * side**2


def test_context_is_pixels_and_a_factor():
    crop = Crop.around(Box(900, 900, 1100, 1100), (3000, 3000), 512, 32, 2.0)
    assert crop.box.left <= 800 and crop.box.right >= 1200
    wide = Crop.around(Box(1000, 1000, 1010, 1010), (3000, 3000), 512, 300, 1.0)
    assert wide.box.left <= 700 and wide.box.right >= 1310


def test_the_working_size_does_not_depend_on_the_picture():
    sizes = {Crop.around(Box(300, 300, 420, 400), size, 512, 32, 1.5).size for size in ((1000, 900), (8000, 6000))}
    assert len(sizes) == 1


def test_nothing_is_resampled_at_the_models_own_size():
    picture = Image.effect_noise((400, 300), 90).convert("RGB")
    crop = Crop(Box(40, 24, 296, 280), (256, 256))
    assert crop.cut(picture).tobytes() == picture.crop(crop.box).tobytes()
    patch = crop.cut(picture)
    assert crop.resize_back(patch) is patch


def shift(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return the sub-pixel shift between two smooth pictures, from the phase of their cross-spectrum."""
    window = np.outer(np.hanning(a.shape[0]), np.hanning(a.shape[1]))
    cross = np.fft.fft2(a * window) * np.conj(np.fft.fft2(b * window))
    fy, fx = np.meshgrid(*(np.fft.fftfreq(n) for n in a.shape), indexing="ij")
    near = (np.hypot(fy, fx) < 0.08) & (np.hypot(fy, fx) > 0)
    A = 2 * np.pi * np.stack([fy[near], fx[near]], 1)
    w = np.abs(cross[near])
    return tuple(np.linalg.lstsq(A * w[:, None], np.angle(cross[near]) * w, rcond=None)[0])


@pytest.mark.parametrize(
    ("box", "side"),
    [((11, 7, 202, 190), 128), ((11, 7, 202, 190), 256), ((3, 5, 100, 83), 256), ((0, 0, 301, 223), 128)],
)
def test_out_and_back_moves_nothing(box, side, rng):
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(rng.normal(size=(230, 310)), 5)
    picture = Image.fromarray(((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)).convert("RGB")
    crop = Crop.around(Box(*box), picture.size, side, 0, 1.0)
    back = np.asarray(crop.resize_back(crop.cut(picture)).convert("L")).astype(float)
    true = np.asarray(picture.crop(crop.box).convert("L")).astype(float)
    assert max(map(abs, shift(back - back.mean(), true - true.mean()))) < 0.05


def test_the_measure_sees_a_shift(rng):
    from scipy.ndimage import gaussian_filter
    from scipy.ndimage import shift as moved

    smooth = gaussian_filter(rng.normal(size=(200, 200)), 5)
    assert shift(moved(smooth, (0.5, -0.25), order=3, mode="wrap"), smooth) == pytest.approx((-0.5, 0.25), abs=0.06)


def test_no_stroke_is_lost_in_a_mask_that_shrinks():
    mask = Image.new("L", (1000, 1000))
    mask.paste(255, (0, 503, 1000, 504))
    assert (np.asarray(Crop(Box(0, 0, 1000, 1000), (128, 128)).cut(mask)) == 255).any(0).all()
