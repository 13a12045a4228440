"""Check that saved results repeat themselves bit for bit with real models."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import inpaint
from inpaint import Request
from tests.files.records import CHOSEN, disc, photo, same


@pytest.fixture(scope="module", params=["toy", "builtin"])
def painter(request):
    return inpaint.load(request.param)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mode": "RGBA", "mask_from_alpha": True},
        {"expand": "24,0,8,16"},
        {"expand": "2:1"},
        {"no mask": True, "strength": 0.6},
        {"eta": 0.5, "count": 2},
        {"no picture": True, "width": 64, "height": 72},
    ],
)
def test_a_saved_result_repeats_itself(painter, tmp_path, settings):
    settings = dict(settings)
    picture = None if settings.pop("no picture", False) else photo(mode=settings.pop("mode", "RGB"))
    mask = None if settings.pop("no mask", False) or picture is None or settings.get("mask_from_alpha") else disc()
    asked = Request("a red scarf", picture, mask, steps=2, size=64, seed=11, **settings)
    made = painter(asked)
    for k, image in enumerate(made.images):
        again = Request.from_image(made.save(tmp_path / f"{k}.png", k))
        same(made.request_of(k), again)
        assert painter(again).image.tobytes() == image.tobytes()


RECORDS = Path(__file__).parent.parent / "data" / "records"


@pytest.mark.parametrize("name", ["version1.png", "version1.jpg"])
def test_a_picture_saved_by_the_first_version_comes_back(name):
    """It wrote 0, -1 and the word auto for what the program chooses."""
    got = Request.from_image(RECORDS / name)
    assert (got.prompt, got.seed, got.steps, got.guidance_scale, got.eta) == ("a boat", 7, 4, 7.5, 0.0)
    assert all(getattr(got, option) is None for option in CHOSEN)
    assert len(got.picture.notes) == name.endswith("jpg")  # it holds no mask
    if name.endswith("png"):
        assert got.mask is not None and np.asarray(got.picture.rgb)[20, 30].tolist() == [120, 120, 100]
        again = inpaint.load("toy")(got)
        shown = np.asarray(Image.open(BytesIO((RECORDS / name).read_bytes())))
        assert np.abs(np.asarray(again.image).astype(int) - shown).max() <= 8


def test_what_is_left_open_comes_back_open(tmp_path):
    result = inpaint.load("toy")(Request("a boat", photo(), seed=-7, guidance_scale=0, steps=2))
    for name in ("out.png", "out.webp"):
        got = Request.from_image(result.save(tmp_path / name))
        assert (got.guidance_scale, got.seed) == (0.0, 2**32 - 7)
        assert all(getattr(got, option) is None for option in CHOSEN)
    assert any("modulo" in note for note in result.report["notes"])
