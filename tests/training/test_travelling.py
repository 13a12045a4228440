"""Check moving the training: the pack, the command line on another machine, and the exported model."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training import __main__ as command
from training import (
    cache,
    checkpoint,
    export,
    measure,
    pack,
    photos,
    portraits,
    scenes,
    sheet,
    stages,
    states,
    stickers,
    tokenizer,
    vae,
)
from training.sample import Painter

from .conftest import tiny

FIXED = ("work", "photos", "device", "states", "out", "compile")


@pytest.fixture(scope="module")
def packed(library, trained, tmp_path_factory) -> Path:
    """The tiny library in one file, with a held-out photo."""
    folder = tmp_path_factory.mktemp("photos")
    for name, photo in zip(("one", "two", photos.HELD_OUT[0]), [*library.photos, library.photos[0]], strict=True):
        photo.resize((1600, 1200)).save(folder / f"{name}.jpg")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stickers, "load", lambda _: library.stickers)
        return pack.write(folder / "pack.zip", replace(trained, photos=folder))


def test_a_pack_holds_what_training_needs(library, packed, trained, plan):
    read, held_out = pack.read(packed, plan)
    assert [(one.name, one.words) for one in read.stickers] == [(one.name, one.words) for one in library.stickers]
    assert read.stickers[0].picture.getpixel((32, 32)) == pytest.approx((255, 0, 0, 255), abs=3)
    assert [photo.size for photo in read.photos] == [(768, 576)] * 2
    assert len(held_out) == 1
    assert vae.load(plan)[1] == vae.load(trained)[1], "states made with one fit the other"
    texts = ["a red disc", "ß"]
    one, other = (tokenizer.encode(tokenizer.load([], where), texts) for where in (plan, trained))
    assert torch.equal(one, other)


def small(monkeypatch, **changes) -> None:
    """Plans are tiny, and scenes are made anew as on a GPU."""
    fields = {name: value for name, value in asdict(tiny(Path())).items() if name not in FIXED}
    fields |= {"fresh": 2, "pool": 4, "stride": 2, **changes}
    monkeypatch.setattr(stages, "on", lambda device: fields)


def test_the_command_for_a_machine_with_a_gpu_is_rehearsed(packed, tmp_path, monkeypatch):
    """As on the device, but on a processor: some seconds of each part, small states, and again from those."""
    small(monkeypatch, text_steps=10**6, inpaint_steps=10**6, base_steps=10**6)
    monkeypatch.setattr(sheet, "THINGS", (("red disc", "blue"), ("", "")))
    monkeypatch.setattr("training.sample.STEPS", 2)
    steps, out = [], str(tmp_path / "out")
    for turn in ("first", "second"):
        command.main([
            *("--work", str(tmp_path / turn), "--pack", str(packed), "--device", "cpu", "--minutes", "0.05"),
            *("--stages", "text", "inpaint", "base", "--states", out, "--out", out),
            *("--nice", "0"),
        ])  # fmt: skip
        steps.append(
            {name: int(states.read(tmp_path / "out", name)[1]["step"]) for name in ("text", "inpaint", "base")}
        )
    assert all(0 < steps[0][name] < steps[1][name] for name in steps[0]), steps
    assert all(file.stat().st_size <= 15_000_000 for file in (tmp_path / "out").iterdir())
    with Image.open(tmp_path / "out/inpaint.jpg") as page:
        assert page.size == (8 * 64, 64)


def test_training_needs_nothing_of_the_app():
    """Its requirements are not there on a machine that only trains."""
    for file in Path(stages.__file__).parent.glob("*.py"):
        lines = [
            line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith(("from ", "import "))
        ]
        assert file.name == "card.py" or not any("inpaint" in line for line in lines), file.name
        used = [
            line
            for line in lines
            if line.startswith("from . import") and {"card", "export"} & set(line.replace(",", " ").split())
        ]
        assert file.name == "export.py" or not used, file.name


def test_fresh_scenes_are_a_function_of_the_step_and_differ_between_steps(library, trained):
    plan = replace(trained, fresh=2, pool=4, stride=2)
    one, other = (cache.Fresh(library, plan) for _ in range(2))
    for step in (0, 2):
        a, b = (source.at(step, cache.generator(plan, 4, step)) for source in (one, other))
        assert all(torch.equal(a[name], b[name]) for name in cache.PARTS)
        assert len(a["clean"]) == plan.batch * plan.stride
        assert a["clean"].shape[2:] == tuple(side // 8 for side in plan.frames[step // 2][::-1])
    assert not torch.equal(one.pools[64, 64]["clean"], cache.Fresh(library, plan).pools[64, 64]["clean"])


def test_cached_scenes_hold_pictures_holes_and_portraits(library, trained):
    cache.fill(library, trained)
    scene = cache.Cached(trained).at(0, cache.generator(trained, 1))
    assert scene["clean"].shape[:2] == scene["masked"].shape[:2] == (2, 4)
    assert scene["hole"].dtype == torch.bool
    assert scene["portrait"].shape == (2, portraits.POSITIONS, portraits.NUMBERS)
    assert (scene["clean"] != scene["masked"]).any(1).flatten(1).any(1).all()


def test_pack_and_save_from_the_command_line(trained, packed, tmp_path, monkeypatch, capsys):
    small(monkeypatch)
    command.main(["save", "--work", str(trained.work), "--out", str(tmp_path / "state"), "--nice", "0"])
    assert "inpaint-1.safetensors" in capsys.readouterr().out
    assert int(states.read(tmp_path / "state", "inpaint")[1]["step"]) == trained.inpaint_steps


@pytest.mark.parametrize("channels", [4, 9])
def test_a_sheet_shows_every_thing_in_its_hole(library, trained, tmp_path, monkeypatch, channels):
    from training import unet

    monkeypatch.setattr("training.sample.STEPS", 2)
    monkeypatch.setattr(sheet, "THINGS", (("red disc", ""), ("egg", "green"), ("no such thing", "")))
    painter = Painter(vae.load(trained)[0], unet.build(channels, trained).eval(), 1.0)
    sheet.drawn(tmp_path / "sheet.png", painter, library, library.photos, trained)
    with Image.open(tmp_path / "sheet.png") as page:
        assert page.size == (8 * 64, 64)
    stamps, _ = sheet.ordered(library, trained)
    assert stamps[0, :, 84, 84].tolist() == pytest.approx([1, 0, 0, 1], abs=0.02)
    assert stamps[1, 1, 84, 84] > stamps[1, 0, 84, 84] + 0.2, "green"
    assert not stamps[2].any()


def test_a_4_channel_sheet_keeps_the_picture_outside_the_hole(library, trained):
    from training import unet

    painter = Painter(vae.load(trained)[0], unet.build(4, trained).eval(), 1.0)
    hole = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    hole[..., 16:40, 16:40] = True
    words = portraits.words(portraits.nothing(1, trained), trained)
    pictures = torch.rand(1, 3, 64, 64)
    y = painter.draw(words, words, guidance=1.5, seed=0, pictures=pictures, hole=hole)
    assert torch.equal(y[~hole.expand_as(y)], pictures[~hole.expand_as(y)])
    assert not torch.equal(y, pictures)


def test_stickers_are_read_from_the_unpacked_packages(tmp_path):
    for part, path, content in (
        ("names", "data-by-emoji.json", {"🍕": {"name": "Pizza", "group": "Food & Drink"},
                                         "👶": {"name": "baby", "group": "People & Body"}}),
        ("words", "dist/emoji-en-US.json", {"🍕": ["pizza", "slice", "food_court", ":-)"]}),
    ):  # fmt: skip
        file = tmp_path / part / "package" / path
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(content), encoding="utf-8")
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
    assert pipeline.unet.config.sample_size == trained.size // 8
    assert pipeline.text_encoder.config.max_position_embeddings == tokenizer.LENGTH
    assert pipeline.vae.config.scaling_factor == vae.scale(trained)
    assert "red disc" in (folder / "words.json").read_text()
    assert "| autoencoder | 3 |" in (folder / "README.md").read_text()


def test_what_came_back_from_another_machine_is_exported_as_it_is(library, trained, packed, tmp_path, monkeypatch):
    stages.save(replace(trained, out=tmp_path / "state"))
    monkeypatch.setattr(measure, "SIZE", 64)
    here = replace(trained, work=tmp_path / "work", states=tmp_path / "state")
    pack.read(packed, here)
    from diffusers import UNet2DConditionModel

    folder = export.export(library, library.photos, here)
    shipped = UNet2DConditionModel.from_pretrained(folder / "unet_inpainting").state_dict()
    assert states.same(shipped, checkpoint.load(trained.work / "inpaint/final.pt")["unet"])
    (tmp_path / "state/base-1.safetensors").unlink()
    with pytest.raises(SystemExit, match="base"):
        export.export(library, library.photos, here)


def test_tables_are_the_same_however_many_threads_make_them(monkeypatch):
    def row(rng: np.random.Generator) -> np.ndarray:
        return rng.integers(0, 9, 4)

    many = scenes.table(row, 5, [1])
    monkeypatch.setattr(scenes.os, "cpu_count", lambda: 1)
    assert torch.equal(scenes.table(row, 5, [1]), many)
