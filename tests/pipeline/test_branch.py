"""Check continuing from a kept step: the same walk to the bit, another walk, or a picture at once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import inpaint
from inpaint import InvalidRequest, Request


@pytest.fixture(scope="module")
def painter():
    return inpaint.load("toy")


@pytest.fixture(scope="module")
def asked():
    photo = Image.effect_noise((96, 72), 60).convert("RGB")
    mask = Image.new("L", photo.size)
    ImageDraw.Draw(mask).ellipse((20, 15, 70, 55), fill=255)
    return Request("", photo, mask, seed=3, steps=8, size=64)


@pytest.mark.parametrize(
    "settings",
    [
        {"eta": 0.0},
        {"eta": 1.0},
        {"eta": 0.0, "fresh_noise": True},
        {"eta": 0.7, "fresh_noise": True, "two_sided": False},
        {"eta": 1.0, "strength": 0.6, "fill": "noise"},
        {"eta": 0.5, "strength": 0.6, "fill": "noise", "fresh_noise": True},
        {"strength": 0.5, "exact_steps": True, "eta": 1.0},
        {"guidance_end": 0.5, "eta": 0.3},
        {"sampler": "euler"},
        {"sampler": "euler a", "fresh_noise": True},
        {"sampler": "ddpm", "strength": 0.7, "fill": "noise"},
        {"sampler": "lcm"},
        {"sampler": "tcd", "eta": 0.4},
        {"sampler": "euler", "spacing": "trailing"},
        {"sampler": "dpm++ 2m"},
        {"sampler": "dpm++ 2m", "strength": 0.7, "exact_steps": True},
        {"sampler": "unipc"},
        {"sampler": "unipc", "strength": 0.8, "fill": "noise", "fresh_noise": True},
        {"article": True},
        {"article": True, "eta": 1.0, "strength": 0.8},
    ],
)
def test_the_same_walk_goes_on_as_it_would_have(painter, asked, settings):
    asked = replace(asked, **settings)
    *steps, result = painter.stream(asked)
    for at in (0, len(steps) // 2, len(steps) - 1):
        *rest, again = painter.resume(steps[at], asked)
        assert again.image.tobytes() == result.image.tobytes(), at
        assert [step.index for step in rest][: len(steps)] == list(range(at + 1, len(steps))) or at == len(steps) - 1
        assert f"Branched from step {at + 1} of seed 3." in again.report["notes"]


@pytest.mark.parametrize("before", ["ddim", "euler", "dpm++ 2m", "unipc"])
@pytest.mark.parametrize(
    "change",
    [
        {"steps": 20},
        {"steps": 5},
        {"spacing": "trailing"},
        {"sampler": "ddim"},
        {"sampler": "euler a"},
        {"steps": 30, "sampler": "unipc"},
    ],
)
def test_another_walk_begins_at_its_own_noise_level(painter, asked, before, change):
    *steps, _ = painter.stream(replace(asked, sampler=before))
    kept = steps[3]
    new = replace(asked, **{"sampler": before, **change})
    first, *_, result = painter.resume(kept, new)
    abar = painter.model.alphas_cumprod
    if (new.sampler, new.steps, new.spacing) == (before, asked.steps, "auto"):
        return  # the same walk
    a, b = float(abar[kept.t]), float(abar[first.t])
    eps = (kept.seen - a**0.5 * kept.pred_x0) / (1 - a) ** 0.5
    expected = b**0.5 * kept.pred_x0 + (1 - b) ** 0.5 * eps
    hole = kept.scene.level.expand_as(eps) > 7
    torch.testing.assert_close(first.seen[hole], expected[hole], atol=0.02, rtol=0.02)  # Karras' levels are rounded
    assert first.t < kept.t and result.report["steps"] == first.total - first.index
    assert result.report["max_change_outside"] == 0


def test_another_seed_paints_something_else_from_there(painter, asked):
    *steps, result = painter.stream(asked)
    others = [list(painter.resume(steps[2], replace(asked, seed=seed)))[-1] for seed in (4, 5)]
    assert len({image.tobytes() for image in (result.image, *(other.image for other in others))}) == 3
    assert [other.seeds for other in others] == [(4,), (5,)]


def test_a_step_becomes_a_finished_picture_at_once(painter, asked):
    for settings in ({}, {"sampler": "unipc"}, {"article": True}, {"count": 2}):
        *steps, result = painter.stream(replace(asked, **settings))
        *_, stopped = painter.resume(steps[-1], replace(asked, **settings), finish=True)
        assert stopped.report["steps"] == 0 and len(stopped.images) == 1
        assert f"Stopped at step {len(steps)} of seed {steps[-1].seed}." in stopped.report["notes"]
        difference = np.abs(np.asarray(stopped.image).astype(int) - np.asarray(result.images[-1]))
        assert difference.mean() < (12 if settings.get("article") else 6)
        early = list(painter.resume(steps[0], replace(asked, **settings), finish=True))[-1]
        assert early.image.tobytes() != result.image.tobytes()


def test_what_does_not_fit_the_step_is_refused_in_words(painter, asked):
    step = next(painter.stream(asked))
    small = asked.mask.point(lambda v: 0)
    ImageDraw.Draw(small).rectangle((2, 2, 8, 8), fill=255)
    far = small.copy()
    ImageDraw.Draw(far).rectangle((85, 60, 93, 68), fill=255)
    for change, field in (
        ({"mask": small}, "mask"),
        ({"size": 128}, "mask"),
        ({"mask": far, "islands": True, "context": 0}, "islands"),
        ({"article": True}, "article"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            list(painter.resume(step, replace(asked, **change)))
        assert caught.value.field == field
    article = next(painter.stream(replace(asked, article=True)))
    with pytest.raises(InvalidRequest, match="own seed"):
        list(painter.resume(article, replace(asked, article=True, seed=9)))
