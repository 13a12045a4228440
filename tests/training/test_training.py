"""The recipe: a run that is killed ends where an undisturbed one does; scenes and starts are what they claim."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from training import (
    cache,
    captions,
    checkpoint,
    export,
    holes,
    measure,
    photos,
    scenes,
    sheet,
    stickers,
    text,
    tokenizer,
    unet,
    vae,
)
from training.plan import Plan
from training.run import learning_rate


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Sums in one order, so that weights can be compared bit for bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def library() -> scenes.Library:
    """Two photos of noise and three discs."""
    rng = np.random.default_rng(0)
    grounds = [Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)) for _ in range(2)]
    discs = []
    for name, colour in (("red disc", "red"), ("blue disc", "blue"), ("egg", "white")):
        picture = Image.new("RGBA", (64, 64))
        ImageDraw.Draw(picture).ellipse((4, 4, 60, 60), fill=colour)
        discs.append(stickers.Sticker(name, ("round", "flat"), picture))
    return scenes.Library(grounds, discs)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return tiny(tmp_path)


def tiny(work: Path) -> Plan:
    return Plan(
        work,
        work,
        vae_channels=(8, 8, 8, 8),
        vae_steps=3,
        vae_batch=2,
        scenes=4,
        shard=4,
        size=32,
        vocabulary=600,
        text_steps=3,
        text_batch=4,
        text_width=32,
        text_layers=1,
        channels=(16, 16, 16),
        first_steps=3,
        inpaint_steps=2,
        base_steps=2,
        batch=2,
        save_every=1,
        log_every=1,
        sheet_every=100,
    )


@pytest.fixture
def unseen(monkeypatch):
    """No sheets and no measuring, which take longer than the tiny trainings."""
    for module, name in ((sheet, "drawn"), (sheet, "round_trip"), (measure, "log")):
        monkeypatch.setattr(module, name, lambda *_: None)


@pytest.fixture(scope="module")
def trained(library, tmp_path_factory) -> Plan:
    """A whole undisturbed training."""
    plan = tiny(tmp_path_factory.mktemp("trained"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "SIZE", 64)
        train(library, plan)
    return plan


class Killed(Exception):
    """Stands in for the signal."""


def killed_at(step: int, module, monkeypatch) -> None:
    """The next training of `module` dies before its `step`-th update."""
    loss_at = module.loss_at

    def until(now: int, *args):
        if now == step:
            raise Killed
        return loss_at(now, *args)

    monkeypatch.setattr(module, "loss_at", until)


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def stamp(plan: Plan) -> str:
    """What a first UNet trained now would stand on; nothing yet without a text encoder that fits."""
    state = checkpoint.load(plan.work / "text/final.pt")
    return text.load(tokenizer.load([], plan), plan)[1] if state["stamp"] == vae.load(plan)[1] else ""


def train(library: scenes.Library, plan: Plan) -> None:
    vae.train(library, library.photos, plan)
    cache.fill(library, plan)
    text.train(library, plan)
    for mode in unet.PARENT:
        unet.train(mode, library, library.photos, plan)


def test_a_killed_training_ends_in_the_same_weights(library, trained, plan, monkeypatch, unseen):
    for module, step, stage in (
        (vae, 2, lambda: vae.train(library, library.photos, plan)),
        (text, 2, lambda: text.train(library, plan)),
        (unet, 2, lambda: unet.train("first", library, library.photos, plan)),
        (unet, 1, lambda: unet.train("inpaint", library, library.photos, plan)),
        (unet, 1, lambda: unet.train("base", library, library.photos, plan)),
    ):
        if module is unet:
            cache.fill(library, plan)
        with monkeypatch.context() as patch:
            killed_at(step, module, patch)
            with pytest.raises(Killed):
                stage()
        stage()
    for stage, part in (("vae", "vae"), ("text", "text"), *((mode, "unet") for mode in unet.PARENT)):
        one, other = (checkpoint.load(where.work / stage / "final.pt")[part] for where in (trained, plan))
        assert equal(one, other), stage
    rows = (plan.work / "vae/log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2", "3"]


def test_a_new_autoencoder_makes_cache_and_unets_stale(library, trained, plan, unseen):
    shutil.copytree(trained.work, plan.work, dirs_exist_ok=True)
    shard = plan.work / "cache/32/0000.pt"
    before = checkpoint.load(shard)["clean"]
    longer = replace(plan, vae_steps=4)
    vae.train(library, library.photos, longer)
    assert not checkpoint.finished(plan.work / "first", stamp(longer), plan.first_steps)
    text.train(library, longer)
    cache.fill(library, longer)
    assert not torch.equal(before, checkpoint.load(shard)["clean"])
    unet.train("first", library, library.photos, longer)
    assert checkpoint.finished(plan.work / "first", stamp(longer), plan.first_steps)


def test_scenes_are_a_function_of_the_seed(library):
    one, same, other = (scenes.scene(np.random.default_rng(seed), library, 64) for seed in (1, 1, 2))
    assert np.array_equal(one.picture, same.picture)
    assert np.array_equal(one.hole, same.hole)
    assert (one.caption, one.title) == (same.caption, same.title)
    assert not np.array_equal(one.picture, other.picture)


def test_every_scene_has_a_hole_and_only_empty_ones_say_nothing(library):
    for seed in range(200):
        scene = scenes.scene(np.random.default_rng(seed), library, 64)
        assert scene.hole.mean() > 0.01 or scene.caption in captions.EMPTY
        assert scene.title in captions.EMPTY or scene.title


@pytest.mark.parametrize("kind", holes.KINDS)
def test_a_hole_covers_most_of_what_it_is_painted_over(kind, monkeypatch):
    monkeypatch.setattr(holes, "KINDS", (kind,))
    monkeypatch.setattr(holes, "SHARES", (1.0,))
    thing = Image.new("L", (128, 128))
    ImageDraw.Draw(thing).ellipse((34, 34, 94, 94), fill=255)
    for seed in range(20):
        hole = holes.hole(np.random.default_rng(seed), thing, (30, 30, 98, 98))
        assert hole[np.asarray(thing) > 0].mean() > 0.8


def test_levelled_latents_decode_to_the_same_pictures(library, plan):
    torch.manual_seed(0)
    rough = vae.build(plan).eval()
    even = vae.build(plan).eval()
    even.load_state_dict(rough.state_dict())
    vae.level(even, library, plan)
    x = vae.pixels(np.stack([scenes.patch(np.random.default_rng(seed), library, 64) for seed in range(32)]))
    with torch.no_grad():
        one, other = (model.decode(model.encode(x).latent_dist.sample()).sample for model in (rough, even))
        z = even.encode(x).latent_dist.mode()
    assert torch.allclose(one, other, atol=1e-4)
    assert z.mean().abs() < 0.5
    assert z.std().item() == pytest.approx(1, abs=0.3)


def test_another_attempts_autoencoder_is_a_start(library, trained, plan):
    model, stamp = vae.load(trained)
    model.save_pretrained(plan.work / "other")
    vae.adopt(plan.work / "other", 2, plan)
    state = checkpoint.load(plan.work / "vae/state.pt")
    assert state["step"] == 2
    assert checkpoint.fingerprint(state["module"]) == stamp


def test_a_unet_grown_from_another_starts_as_that_one(library, plan):
    torch.manual_seed(0)
    base = unet.build(4, plan).eval()
    wide = unet.grown(9, base.state_dict(), plan).eval()
    x, around, words = torch.randn(2, 4, 8, 8), torch.randn(2, 5, 8, 8), torch.randn(2, 16, 32)
    with torch.no_grad():
        expected = base(x, 7, words).sample
        assert torch.allclose(wide(torch.cat([x, torch.zeros_like(around)], 1), 7, words).sample, expected, atol=1e-6)
        assert torch.allclose(wide(torch.cat([x, around], 1), 7, words).sample, expected, atol=1e-6)
        again = unet.grown(4, wide.state_dict(), plan).eval()
        assert torch.equal(again(x, 7, words).sample, expected)


def test_a_state_is_whole_or_absent(tmp_path, monkeypatch):
    path = tmp_path / "state.pt"
    checkpoint.save(path, {"step": 1})

    def torn(state, file):
        file.write(b"half")
        raise Killed

    monkeypatch.setattr(torch, "save", torn)
    with pytest.raises(Killed):
        checkpoint.save(path, {"step": 2})
    assert checkpoint.load(path) == {"step": 1}


def test_a_folder_is_trained_in_by_one_process(tmp_path):
    with checkpoint.lock(tmp_path), pytest.raises(SystemExit, match="is training in"):
        checkpoint.lock(tmp_path)


def test_the_learning_rate_warms_up_rests_and_falls():
    rates = [learning_rate(step, 10_000, 1.0) for step in (0, 299, 5_000, 8_500, 10_000)]
    assert rates == pytest.approx([1 / 300, 1, 1, 0.5, 0.02])


def test_portraits_tell_each_cell(library, plan):
    wanted = text.portraits(library.stickers, vae.build(plan).eval())
    assert wanted.shape == (4, text.GRID**2, 5 * text.CELLS**2 + 2 * text.GRID)
    cells, places = wanted.split((5 * text.CELLS**2, 2 * text.GRID), 2)
    assert not cells[3].any(), "nothing is zeros"
    opacity = cells[0].view(5, 5, 5, 2, 2)[:, :, 4]  # of a disc: the middle is full, the corners are clear
    assert opacity[2, 2].eq(2).all()
    assert all(opacity[i, j, k, m] < 0.1 for i, k in ((0, 0), (4, 1)) for j, m in ((0, 0), (4, 1)))
    rows, columns = places[0].view(5, 5, 2, 5).argmax(-1).unbind(-1)
    assert rows[:, 0].tolist() == columns[0].tolist() == [0, 1, 2, 3, 4]
    assert places.sum(-1).eq(2).all()


def test_the_tokenizer_keeps_common_words_whole(library, plan):
    tokens = tokenizer.load(library.stickers, plan)
    assert tokens.tokenize("a red disc") == ["a</w>", "red</w>", "disc</w>"]
    assert tokenizer.encode(tokens, ["", "zebra ß 3"]).shape == (2, tokenizer.LENGTH)
    assert tokens.unk_token_id not in tokens.convert_tokens_to_ids(tokens.tokenize("ß漢 zebra"))


def test_the_tokenizer_is_the_same_each_time(library):
    texts = captions.corpus(library.stickers) + [sticker.name * 2 for sticker in library.stickers]
    first = tokenizer.train(texts, 700)
    assert all(tokenizer.train(texts, 700) == first for _ in range(5))


def test_stickers_are_read_from_the_unpacked_packages(tmp_path):
    for part, path, content in (
        (
            "names",
            "data-by-emoji.json",
            '{"🍕": {"name": "Pizza", "group": "Food & Drink"}, "👶": {"name": "baby", "group": "People & Body"}}',
        ),
        ("words", "dist/emoji-en-US.json", '{"🍕": ["pizza", "slice", "food_court", ":-)"]}'),
    ):
        file = tmp_path / part / "package" / path
        file.parent.mkdir(parents=True)
        file.write_text(content, encoding="utf-8")
    pictures = tmp_path / "pictures/package/assets"
    pictures.mkdir(parents=True)
    for code in ("1f355", "1f476", "1f355-1f3fb"):
        Image.new("RGBA", (8, 8), "red").save(pictures / f"{code}.webp")
    assert [(one.name, one.words) for one in stickers.load(tmp_path)] == [("pizza", ("slice", "food court"))]


def test_held_out_photos_are_not_among_the_training_photos(tmp_path):
    for name in (photos.HELD_OUT[0], "other"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.jpg")
    assert len(photos.load(tmp_path)) == len(photos.load(tmp_path, held_out=True)) == 1


def test_the_exported_folder_is_a_pipeline(library, trained, monkeypatch):
    from diffusers import StableDiffusionInpaintPipeline

    monkeypatch.setattr(measure, "SIZE", 64)
    folder = export.export(library, library.photos, trained)
    pipeline = StableDiffusionInpaintPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    assert pipeline.unet.config.in_channels == 4
    assert pipeline.vae.config.scaling_factor == checkpoint.load(trained.work / "base/final.pt")["scale"]
    assert "red disc" in (folder / "words.json").read_text()
    assert "| autoencoder | 3 |" in (folder / "README.md").read_text()
