"""Check the Inpainter's promises about pixels, seeds, cancelling and memory, on the toy and the built-in model."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import inpaint
from inpaint import Filled, InpaintError, InvalidRequest, OutOfMemory, Request, Step
from inpaint.inpainter import Inpainter
from inpaint.models.toy import Model as Toy
from inpaint.request import SAMPLERS


@pytest.fixture(scope="module")
def painters():
    return {"toy": inpaint.load("toy"), "builtin": inpaint.load("builtin")}


def disc(size, box=None) -> Image.Image:
    mask = Image.new("L", size)
    w, h = size
    ImageDraw.Draw(mask).ellipse(box or (w // 3, h // 3, 2 * w // 3, 2 * h // 3), fill=255)
    return mask


def random_job(k: int) -> tuple[Image.Image, Image.Image]:
    """A picture of some odd size and mode, and something painted on it."""
    rng, dice = np.random.default_rng(k), random.Random(k)
    sizes = [(1, 1), (1, 7), (1500, 1), (3, 900), (8, 8), (1500, 900)]
    w, h = sizes[k] if k < len(sizes) else (dice.randint(1, 700), dice.randint(1, 500))
    mode = ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "YCbCr"][k % 9]
    array = rng.integers(0, 256, (h, w, 4), dtype=np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(array[..., 0].astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(array, "RGBA" if mode in ("RGBA", "LA") else None).convert(mode)
    mask, draw = Image.new("L", (w, h)), None
    draw = ImageDraw.Draw(mask)
    for _ in range(dice.randint(1, 3)):
        x, y = dice.randrange(w), dice.randrange(h)
        if dice.random() < 0.5:
            draw.ellipse((x, y, x + dice.randint(0, w), y + dice.randint(0, h)), fill=dice.choice((255, 255, 128)))
        else:
            draw.line((x, y, dice.randrange(w), dice.randrange(h)), fill=255, width=dice.randint(1, 20))
    return picture, mask


@pytest.mark.parametrize(("model", "count"), [("toy", 200), ("builtin", 100)])
@pytest.mark.filterwarnings("ignore:.*mode.*:DeprecationWarning")
def test_kept_pixels_are_bit_identical_at_any_size_mode_and_mask(painters, model, count):
    for k in range(count):
        picture, mask = random_job(k)
        dice = random.Random(k)
        request = Request(
            "a cat",
            picture,
            mask,
            seed=k,
            steps=2 if model == "toy" else 1,
            size=64 * dice.choice((1, 2)),
            strength=dice.choice((1.0, 1.0, 0.7)),
            method=dice.choice(painters[model].model.methods),
            finish=dice.choice(("auto", "feather", "multiband", "poisson", "none")),
            islands=dice.random() < 0.3,
            whole=dice.random() < 0.3,
            colour_match=dice.choice((0.0, 1.0)),
        )
        result = painters[model](request)
        before, after = np.asarray(request.picture.rgb), np.asarray(result.image.convert("RGB"))
        assert after.shape == before.shape, k
        kept = np.asarray(mask) == 0
        assert np.array_equal(before[kept], after[kept]), (k, picture.mode, picture.size)
        if request.picture.alpha is not None:
            opacity, was = np.asarray(result.image.getchannel("A")), np.asarray(request.picture.alpha)
            assert np.array_equal(opacity[kept], was[kept]) and (opacity >= was).all(), k
        assert result.report["max_change_outside"] == 0
        if picture.mode in ("RGB", "L", "CMYK", "P"):
            assert np.array_equal(np.asarray(picture.convert("RGB"))[kept], after[kept])


@pytest.mark.parametrize("method", ["base", "inpaint"])
def test_both_methods_repaint_on_the_builtin_model(painters, photo, method):
    mask = disc(photo.size)
    result = painters["builtin"](Request("pizza", photo, mask, method=method, seed=1, steps=3))
    changed = np.any(np.asarray(result.image) != np.asarray(photo), axis=-1)
    assert result.report["method"] == method and result.report["steps"] == 3
    assert changed[np.asarray(mask) > 0].mean() > 0.8


def test_auto_takes_the_method_that_suits(painters, photo):
    painter, mask = painters["builtin"], disc(photo.size)
    assert painter.method(Request("x", photo, mask)) == "inpaint"
    assert painter.method(Request("x", photo, mask, strength=0.4)) == "base"
    assert painter.method(Request("x", photo)) == "base"
    assert painters["toy"].method(Request("x", photo, mask)) == "base"
    with pytest.raises(InvalidRequest, match="no inpaint UNet"):
        painters["toy"](Request("x", photo, mask, method="inpaint"))


def test_stream_yields_every_step_and_then_the_result(painters, photo):
    request = Request("", photo, disc(photo.size), seed=3, steps=5, count=2)
    *steps, result = painters["toy"].stream(request)
    assert [s.index for s in steps] == list(range(10)) and {s.total for s in steps} == {10}
    assert [s.seed for s in steps] == [3] * 5 + [4] * 5 and result.seeds == (3, 4)
    assert len(result.images) == 2 and result.image is result.images[0] and result.seed == 3
    seen = []
    again = painters["toy"](request, on_step=seen.append)
    assert len(seen) == 10 and all(isinstance(s, Step) for s in seen)
    assert again.image.tobytes() == result.image.tobytes()


def test_previews_show_the_patch_in_its_place(painters):
    picture = Image.new("RGB", (800, 600), (10, 200, 30))
    request = Request("", picture, disc((800, 600)), seed=3, steps=6, finish="none")
    *steps, result = painters["toy"].stream(request)
    looks = [np.asarray(step.preview(400)).astype(int) for step in steps]
    assert all(look.shape == (300, 400, 3) for look in looks)
    assert all((look[:60] == (10, 200, 30)).all() for look in looks)
    assert len({look.tobytes() for look in looks}) == 6
    end = np.asarray(result.image.resize((400, 300))).astype(int)
    assert np.abs(looks[-1] - end).mean() < 2


def test_closing_the_stream_cancels_and_the_next_job_works(painters, photo):
    request = Request("", photo, disc(photo.size), seed=3, steps=20)
    steps = painters["toy"].stream(request)
    next(steps), next(steps)
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)
    assert torch.is_grad_enabled()
    assert painters["toy"](request).report["steps"] == 20


def test_the_report_counts_the_steps_of_each_picture_not_of_all(painters, photo):
    request = Request("", photo, disc(photo.size), seed=3, steps=4, count=2)
    *steps, result = painters["toy"].stream(request)
    assert result.report["steps"] == 4 and [step.total for step in steps] == [8] * 8


@pytest.mark.parametrize("model", ["toy", "builtin"])
def test_batch_of_one_equals_batch_of_four(painters, photo, model, monkeypatch):
    painter = painters[model]
    request = Request("pizza", photo, disc(photo.size), seed=5, steps=3, count=4, eta=0.5, method="base")
    many = painter(request)
    for k in (0, 3):
        alone = painter(replace(request, seed=5 + k, count=1))
        assert alone.image.tobytes() == many.images[k].tobytes()  # one after the other on a CPU: to the bit
    closeups = {}
    from inpaint.pipeline.closeup import CloseUp

    walk = CloseUp.walk

    def watched(self, seeds, text, branch=None):
        for step in walk(self, seeds, text, branch):
            closeups[seeds] = step.x
            yield step

    monkeypatch.setattr(CloseUp, "walk", watched)
    painter(request)
    job_like = closeups[(5,)], closeups[(8,)]
    monkeypatch.setattr(painter.model, "device", _NotCpu())
    monkeypatch.setattr(painter.model, "free", lambda: None)
    painter(request)
    together = closeups[(5, 6, 7, 8)]
    torch.testing.assert_close(together[[0, 3]], torch.cat(job_like), atol=1e-4, rtol=1e-4)


class _NotCpu(str):
    """A device that computes on the CPU and calls itself something else, so that images are batched."""

    type = "accelerator"

    def __new__(cls):
        return str.__new__(cls, "cpu")


def test_a_seed_left_open_is_drawn_and_reported(painters, photo):
    request = Request("", photo, disc(photo.size), steps=2)
    first, second = painters["toy"](request), painters["toy"](request)
    assert first.seed != second.seed and first.request.seed == first.seed >= 0
    again = painters["toy"](first.request)
    assert again.image.tobytes() == first.image.tobytes()


def every_method(painters, photo, steps):
    """(name, painter, request) for each method of both models."""
    for name in ("toy", "builtin"):
        for method in painters[name].model.methods:
            yield name, painters[name], Request("x", photo, disc(photo.size), method=method, seed=1, steps=steps)


def test_guidance_left_open_is_the_models_own_and_reported(painters, photo):
    for name, painter, request in every_method(painters, photo, steps=2):
        own, scale = painter(request), painter.model.guidance[request.method]
        assert own.request.guidance_scale == scale > 0
        assert painter(replace(request, guidance_scale=scale)).image.tobytes() == own.image.tobytes()
        stronger = painter(replace(request, guidance_scale=scale + 2))
        assert (stronger.image.tobytes() == own.image.tobytes()) is (name == "toy")  # which knows no words
        none = painter(replace(request, guidance_scale=0, fill="blur"))
        assert none.request.guidance_scale == 0.0
        unasked = painter(replace(request, prompt="", quality="", guidance_scale=1, fill="blur"))
        assert none.image.tobytes() == unasked.image.tobytes()  # the prompt is ignored


def test_eta_left_open_is_the_models_own_and_reported(painters, photo):
    for name, painter, request in every_method(painters, photo, steps=3):
        own, eta = painter(request), painter.model.eta[request.method]
        assert own.request.eta == eta == (1 if (name, request.method) == ("builtin", "base") else 0)
        assert painter(replace(request, eta=eta)).image.tobytes() == own.image.tobytes()
        assert painter(replace(request, eta=1 - eta)).image.tobytes() != own.image.tobytes()
    article = painters["builtin"](Request("x", photo, disc(photo.size), article=True, seed=1, steps=2))
    assert article.request.eta == 0


@pytest.mark.parametrize("settings", [{}, {"task": "remove"}, {"expand": "1:1"}], ids=str)
def test_without_a_prompt_the_built_in_model_runs_no_network_and_copies_the_surroundings(
    painters, photo, settings, monkeypatch
):
    painter = painters["builtin"]
    monkeypatch.setattr(painter.model, "unet", None)
    monkeypatch.setattr(painter.model, "decode", None)
    mask = disc(photo.size)
    *fills, closed = painter.stream(Request("", photo, mask, seed=1, **settings), fills=True)
    assert fills and all(isinstance(fill, Filled) for fill in fills)
    assert closed.report["method"] == "patch" and closed.report["steps"] == 0
    assert closed.report["max_change_outside"] == 0
    noted = any("with copies of its surroundings" in note for note in closed.report["notes"])
    assert noted == (settings.get("task") != "remove"), "who asked to remove something knows"
    again = painter(closed.request)
    assert again.request.settings() == closed.request.settings()
    assert again.image.tobytes() == closed.image.tobytes()
    restored = painter(Request.from_image(closed.to_bytes()))
    assert restored.image.tobytes() == closed.image.tobytes()


def test_variations_of_a_fill_are_their_seeds_alone(painters, photo):
    request = Request("", photo, disc(photo.size), seed=3, count=2)
    both = painters["builtin"](request)
    for k, image in enumerate(both.images):
        assert painters["builtin"](both.request_of(k)).image.tobytes() == image.tobytes()


def test_a_fill_of_its_own_or_a_prompt_lets_the_model_paint(painters, photo):
    for other in ({"prompt": "pizza"}, {"fill": "noise"}, {"mask": None}, {"strength": 0.9}):
        given = {"prompt": "", "picture": photo, "mask": disc(photo.size), "seed": 1, "steps": 2, **other}
        asked = painters["builtin"](Request(**given)).request
        assert asked.strength == given.get("strength", 1)
        assert asked.fill == ("patch" if given["prompt"] else given.get("fill", "auto"))


def test_a_walk_may_begin_from_the_fill(painters, photo):
    for _, painter, request in every_method(painters, photo, steps=3):
        request = replace(request, strength=0.5, fill="patch")
        *events, result = painter.stream(request, fills=True)
        fills = [event for event in events if isinstance(event, Filled)]
        steps = events[len(fills) :]
        assert fills and steps and all(isinstance(step, Step) for step in steps)
        assert result.report["method"] == request.method and result.report["max_change_outside"] == 0
        hole = np.asarray(request.mask) > 127
        filled = np.asarray(fills[-1].image)
        assert (filled[hole] != np.asarray(photo)[hole]).any()
        other = painter(replace(request, fill="original"))
        assert other.image.tobytes() != result.image.tobytes(), "the fill makes no difference"


def test_the_built_in_model_draws_onto_the_filled_ground(painters, photo):
    photo = photo.resize((384, 288))
    request = Request("red apple", photo, disc(photo.size), seed=2, steps=4, finish="none")
    *events, result = painters["builtin"].stream(request, fills=True)
    assert result.request.fill == "patch" and isinstance(events[0], Filled) and isinstance(events[-1], Step)
    ground = np.asarray([event for event in events if isinstance(event, Filled)][-1].image)
    hole, after = np.asarray(request.mask) > 127, np.asarray(result.image.convert("RGB"))
    same = (after == ground).all(-1)[hole].mean()
    assert 0.02 < same < 0.98, "part of the hole is the ground as it was filled, and part is drawn"
    own = painters["builtin"](replace(request, fill="blur"))
    assert not (np.asarray(own.image.convert("RGB")) == ground).all(-1)[hole].mean() > same / 4


def test_another_run_over_the_same_hole_fills_nothing_and_gives_the_same_picture(photo, monkeypatch):
    from inpaint.pipeline import filling

    fills, fill_patches = [], filling.fill_patches
    monkeypatch.setattr(filling, "fill_patches", lambda *given: fills.append(1) or fill_patches(*given))
    mask, other = disc(photo.size), disc(photo.size, (10, 10, 40, 40))
    painter = inpaint.load("builtin")
    request = Request("red apple", photo, mask, seed=2, steps=2)
    stopped = painter.stream(request, fills=True)
    next(stopped)
    stopped.close()
    painter(request)
    assert len(fills) == 2, "a fill that was stopped is begun again"
    for again in (replace(request, seed=3), replace(request, prompt="pizza", picture=photo.copy())):
        *events, result = painter.stream(again, fills=True)
        assert len(fills) == 2 and any(isinstance(event, Filled) for event in events)
        assert inpaint.load("builtin")(again).image.tobytes() == result.image.tobytes()
        fills.pop()
    for new in (replace(request, mask=other), replace(request, picture=photo.rotate(180))):
        before = len(fills)
        painter(new)
        assert len(fills) == before + 1


def test_what_is_drawn_over_part_of_a_soft_mask_keeps_its_share(painters, photo):
    soft = Image.new("L", photo.size)
    soft.paste(40, (20, 20, 60, 60))
    result = painters["builtin"](Request("", photo, soft, seed=1))
    before, after = (np.asarray(image.convert("RGB")).astype(int) for image in (photo, result.image))
    assert result.report["max_change_outside"] == 0 and np.abs(after - before).max() > 0


def test_settings_with_less_effect_than_expected_are_noted(painters, photo):
    weak = painters["toy"](
        Request("", photo, disc(photo.size), steps=20, strength=0.1, guidance_scale=1.0, negative_prompt="blur")
    )
    assert any("2 of 20 steps" in note for note in weak.report["notes"])
    assert any("negative prompt" in note for note in weak.report["notes"])
    assert painters["toy"](Request("", photo, disc(photo.size), steps=3)).report["notes"] == []


def test_what_the_model_had_to_do_is_in_the_report(photo):
    model = Toy()
    decode = model.decode
    model.decode = lambda z: model.notes.append("It was retried.") or decode(z)
    assert Inpainter(model)(Request("", photo, disc(photo.size), steps=2)).report["notes"] == ["It was retried."]


def test_strength_zero_returns_the_picture(painters, photo):
    *steps, result = painters["toy"].stream(Request("", photo, disc(photo.size), strength=0.0))
    assert steps == [] and result.report["steps"] == 0
    assert result.image.tobytes() == photo.tobytes()


def test_without_mask_everything_changes_and_without_picture_something_appears(painters, photo):
    changed = painters["builtin"](Request("pizza", photo, strength=0.6, seed=1, steps=4))
    assert changed.image.size == photo.size and changed.image.tobytes() != photo.tobytes()
    made = painters["builtin"](Request("pizza", seed=1, steps=2, width=200, height=120))
    assert made.image.size == (200, 120) and np.asarray(made.image).std() > 1
    with pytest.raises(InvalidRequest) as error:
        Request("pizza", mask=disc((64, 64)))
    assert error.value.field == "picture"


def test_expanding_keeps_the_picture_inside(painters, photo):
    result = painters["toy"](Request("", photo, expand="10,20,30,40", seed=1, steps=3))
    assert result.image.size == (96 + 40, 72 + 60)
    assert result.image.crop((10, 20, 106, 92)).tobytes() == photo.tobytes()


def test_cost_does_not_grow_with_the_picture(painters):
    small, large = Image.new("RGB", (512, 512), "teal"), Image.new("RGB", (4000, 3000), "teal")
    sizes = []
    for picture in (small, large):
        mask = disc(picture.size, (100, 100, 200, 200))
        result = painters["toy"](Request("", picture, mask, seed=1, steps=2))
        sizes.append(result.report["crops"][0]["size"])
    assert sizes[0] == sizes[1]


def test_thin_strokes_are_repainted(painters, photo):
    for width in (1, 2, 5, 8):
        for offset in range(8):
            mask = Image.new("L", photo.size)
            ImageDraw.Draw(mask).line((20, 24 + offset, 70, 24 + offset), fill=255, width=width)
            result = painters["toy"](Request("", photo, mask, seed=1, steps=2, whole=True))
            stroke = np.asarray(mask) > 0
            assert np.any(np.asarray(result.image)[stroke] != np.asarray(photo)[stroke], axis=-1).mean() > 0.7


def test_islands_far_apart_are_close_ups_of_their_own(painters):
    picture = Image.effect_noise((900, 300), 80).convert("RGB")
    mask = disc(picture.size, (20, 20, 60, 60))
    ImageDraw.Draw(mask).rectangle((800, 200, 850, 260), fill=255)
    apart = painters["toy"](Request("", picture, mask, seed=1, steps=3, islands=True))
    boxes = [crop["box"] for crop in apart.report["crops"]]
    assert len(boxes) == 2 and boxes[0][2] < boxes[1][0] and apart.report["steps"] == 6
    together = painters["toy"](Request("", picture, mask, seed=1, steps=3, detail="off"))
    assert len(together.report["crops"]) == 1
    painted, kept = np.asarray(mask) > 0, np.asarray(mask) == 0
    for result in (apart, together):
        assert np.array_equal(np.asarray(result.image)[kept], np.asarray(picture)[kept])
        assert np.any(np.asarray(result.image) != np.asarray(picture), axis=-1)[painted].mean() > 0.9


def test_soft_masks_change_more_where_they_are_lighter(painters, photo):
    for method in ("base", "inpaint"):
        change = []
        for level in (40, 130, 255):
            mask = Image.new("L", photo.size)
            ImageDraw.Draw(mask).rectangle((30, 20, 65, 50), fill=level)
            result = painters["builtin"](Request("pizza", photo, mask, seed=1, steps=8, method=method, finish="none"))
            inside = np.asarray(mask) > 0
            change.append(np.abs(np.asarray(result.image)[inside].astype(int) - np.asarray(photo)[inside]).mean())
        assert change == sorted(change), method


class Failing(Toy):
    """A toy whose UNet runs out of memory until it was made leaner `failures` times in a job, of `most` possible."""

    def __init__(self, failures: int, most: int):
        super().__init__()
        self.failures, self.most, self.given_up = failures, most, 0

    def unet(self, method):
        def network(x, t, text):
            if self.given_up < self.failures and t < 700:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return self.wiener(x, t, text)

        return network

    def free_some_memory(self, network):
        assert network == "unet"
        self.given_up += 1
        return f"Gave up {self.given_up}." if self.given_up <= self.most else None

    def restore_policy(self):
        self.given_up = 0


def test_out_of_memory_makes_the_job_leaner_with_a_note(photo):
    painter = Inpainter(Failing(failures=2, most=5))
    request = Request("", photo, disc(photo.size), seed=3, steps=10)
    result = painter(request)
    assert [n for n in result.report["notes"] if "Gave up" in n] == ["Gave up 1.", "Gave up 2."]
    assert result.image.tobytes() == inpaint.load("toy")(request).image.tobytes()
    painter.model.failures = 0
    assert "Gave up" not in str(painter(request).report["notes"])  # the next job has the model's own policy again


def test_with_nothing_left_to_give_up_one_sentence_and_the_next_job_works(photo):
    painter = Inpainter(Failing(failures=3, most=1))
    request = Request("", photo, disc(photo.size), seed=3, steps=10)
    with pytest.raises(OutOfMemory, match="smaller"):
        painter(request)
    painter.model.failures = 0
    assert painter(request).report["steps"] == 10


def test_no_number_from_the_unet_is_an_error_not_a_black_picture(photo):
    model = Toy()
    model.unet = lambda method: lambda x, t, text: x.repeat(2, 1, 1, 1) * float("nan")
    with pytest.raises(InpaintError, match="invalid numbers"):
        Inpainter(model)(Request("", photo, disc(photo.size), seed=3, steps=3))


def test_the_second_run_encodes_nothing(photo):
    model = Toy()
    calls, encode = [], model.encode
    model.encode = lambda *a, **k: calls.append(1) or encode(*a, **k)
    painter = Inpainter(model)
    painter(Request("", photo, disc(photo.size), seed=3, steps=2))
    first = len(calls)
    painter(Request("", photo, disc(photo.size), seed=4, steps=2))
    assert first > 0 and len(calls) == first


@pytest.mark.parametrize("seed", [2**32 + 5, -7, 11026764036349098123])
def test_any_whole_number_is_a_seed_and_the_report_names_it(painters, photo, seed):
    request = Request("", photo, disc(photo.size), seed=seed, steps=2)
    result = painters["toy"](request)
    assert result.seed == seed % 2**32 and result.request.seed == result.seed
    notes = [note for note in result.report["notes"] if "modulo" in note]
    assert len(notes) == 1 and str(seed) in notes[0] and str(result.seed) in notes[0]
    again = painters["toy"](result.request)
    assert again.image.tobytes() == result.image.tobytes()
    assert not [note for note in again.report["notes"] if "modulo" in note]


def test_a_sampler_without_eta_adds_a_note(painters, photo):
    for sampler in SAMPLERS:
        result = painters["toy"](Request("", photo, disc(photo.size), seed=1, steps=2, sampler=sampler, eta=0.5))
        notes = [note for note in result.report["notes"] if "eta" in note]
        has = sampler in ("ddim", "tcd")
        assert len(notes) == (not has) and result.request.eta == (0.5 if has else 0)
        for silent in (None, 0):
            asked = Request("", photo, disc(photo.size), seed=1, steps=2, sampler=sampler, eta=silent)
            assert painters["toy"](asked).report["notes"] == []
