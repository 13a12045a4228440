"""Check that films play all frames, at one size, and hold the last."""

import os

import numpy as np
import pytest
from PIL import Image, ImageSequence

from inpaint import InpaintError, InvalidRequest
from inpaint.files.film import FORMATS, save_film, times


def frames(count=6) -> list[Image.Image]:
    """Greys from dark to light, of different sizes and modes; the last is 60 × 40."""
    made = [Image.new("RGB", (60, 40), (20 + 30 * k,) * 3) for k in range(count)]
    made[0], made[1] = made[0].resize((8, 8)), made[1].convert("L")
    return made


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_film_plays_every_frame_and_holds_the_last(tmp_path, suffix):
    path = save_film(tmp_path / f"film{suffix}", frames(), seconds=3)
    with Image.open(path) as film:
        assert film.format == FORMATS[suffix] and film.n_frames == 6 and film.size == (60, 40)
        assert film.info["loop"] == 0
        shown = [(np.asarray(f.convert("L")).mean(), f.info["duration"]) for f in ImageSequence.Iterator(film)]
    for k, (grey, milliseconds) in enumerate(shown):
        assert abs(grey - (20 + 30 * k)) < 4
        assert milliseconds == pytest.approx(500 if k < 5 else 2000)
    assert os.listdir(tmp_path) == [path.name]


def test_times_are_tens_of_milliseconds_and_no_frame_is_lost():
    assert times(1, 4) == [5500]
    assert times(4, 1) == [250, 250, 250, 1750]
    assert times(1000, 1)[0] == 20
    assert all(t % 10 == 0 for t in times(7, 4.0))


def test_one_frame_is_a_film(tmp_path):
    for suffix in FORMATS:
        with Image.open(save_film(tmp_path / f"one{suffix}", frames()[-1:])) as film:
            assert film.size == (60, 40) and film.format == FORMATS[suffix]


@pytest.mark.parametrize(
    ("name", "shown", "seconds"),
    [
        ("film.mp4", 3, 4),
        ("film", 3, 4),
        ("film.webp", 0, 4),
        ("film.webp", 3, 0),
        ("film.webp", 3, float("nan")),
        ("film.webp", 3, 1e9),
    ],
)
def test_impossible_films_are_refused(tmp_path, name, shown, seconds):
    with pytest.raises(InvalidRequest) as caught:
        save_film(tmp_path / name, frames()[:shown], seconds)
    assert caught.value.field == "film" and not os.listdir(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InpaintError, match="cannot be written"):
        save_film(tmp_path / "no" / "film.webp", frames())
