"""Check batches: each picture gets its own mask, and a failure does not stop the rest."""

import os
from pathlib import Path

import pytest
from PIL import Image

import inpaint
from inpaint import InvalidRequest, batch
from inpaint.batch import Item, Outcome, Output, pair, plan, run, split
from tests.fakes import Painter, opened


def paths(*names: str) -> list[Path]:
    return [Path(name) for name in names]


def test_one_mask_for_all_or_none():
    pictures = paths("b.jpg", "a.jpg")
    assert pair(pictures, Path("m.png")) == [Item(Path("b.jpg"), Path("m.png")), Item(Path("a.jpg"), Path("m.png"))]
    assert pair(pictures) == [Item(Path("b.jpg")), Item(Path("a.jpg"))]
    assert pair([], []) == []


@pytest.mark.parametrize(
    "mask", ["m/a.png", "m/a_mask.png", "m/a-mask.webp", "m/A.PNG", "m/A_Mask.png", "m/a.mask.png"]
)
def test_masks_are_found_by_stem(mask):
    assert pair(paths("p/a.jpg"), paths("m/b.png", mask, "m/aa.png")) == [Item(Path("p/a.jpg"), Path(mask))]


def test_the_full_name_goes_first():
    jobs = pair(paths("a.jpg", "a_mask.jpg"), paths("m/a.png", "m/a_mask.png"))
    assert [job.mask.name for job in jobs] == ["a.png", "a_mask.png"]


def test_masks_that_differ_only_in_case_are_not_mixed_up():
    pictures = paths("Cat.jpg", "cat.jpg", "DOG.jpg")
    jobs = pair(pictures, paths("m/Cat_mask.png", "m/cat_mask.png", "m/dog_mask.png"))
    assert [job.mask.name for job in jobs] == ["Cat_mask.png", "cat_mask.png", "dog_mask.png"]
    cat, other = pair(paths("Cat.jpg", "cat.jpg"), paths("m/cat.png"))
    assert "no mask" in cat.problem and other.mask.name == "cat.png"
    (unclear,) = pair(paths("CAT.jpg"), paths("m/Cat.png", "m/cat.png"))
    assert unclear.mask is None and "differ only in case" in unclear.problem
    (composed,) = pair(paths("caf\u00e9.jpg"), paths("m/cafe\u0301_mask.png"))  # as macOS and Linux write it
    assert composed.mask is not None
    (best,) = pair(paths("a.jpg"), paths("m/a.jpg", "m/a.png"))
    assert best.mask.name == "a.png"


def test_a_missing_mask_is_reported():
    found, missing = pair(paths("a.jpg", "b.jpg"), paths("a.png"))
    assert found.problem == "" and missing.mask is None and "b_mask.png" in missing.problem


def test_pictures_and_masks_are_distinguished():
    pictures, masks = split(paths("b.jpg", "a.PNG", "a_mask.png", "notes.txt", ".hidden.png", "masks/b.png"))
    assert pictures == paths("a.PNG", "b.jpg") and masks == paths("a_mask.png", "masks/b.png")


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two good pictures with masks, one broken, one without a mask, and something else."""
    for name in ("pictures", "masks", "out"):
        (tmp_path / name).mkdir()
    for name in ("a.jpg", "b.png", "d.png"):
        Image.new("RGB", (40, 30), "gray").save(tmp_path / "pictures" / name)
    (tmp_path / "pictures" / "c.jpg").write_bytes(b"no picture")
    (tmp_path / "pictures" / "notes.txt").write_text("x")
    mask = Image.new("L", (40, 30))
    mask.paste(255, (10, 10, 20, 20))
    for name in ("a.png", "b_mask.png", "c.png"):
        mask.save(tmp_path / "masks" / name)
    return tmp_path


def test_a_failure_is_reported_and_the_rest_continues(folder):
    steps = []
    jobs = plan(folder / "pictures", folder / "masks")
    outcomes = list(run(Painter(), jobs, Output(folder / "out"), {"prompt": "x", "seed": 3}, steps.append))
    assert [o.item.picture.name for o in outcomes] == ["a.jpg", "b.png", "c.jpg", "d.png"]
    assert [bool(o.problem) for o in outcomes] == [False, False, True, True]
    assert "not a picture" in outcomes[2].problem and "no mask" in outcomes[3].problem
    assert all("\n" not in str(o) for o in outcomes) and str(outcomes[0]) == "a.jpg: a.png"
    assert sorted(os.listdir(folder / "out")) == ["a.png", "b.png"]
    assert len(steps) == 8
    image = opened(folder / "out" / "b.png")
    assert image.getpixel((15, 15)) == (250, 20, 3) and image.getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.parametrize(
    "error", [RuntimeError("boom\nand more"), MemoryError(), inpaint.OutOfMemory("Too much.", "x.")]
)
def test_an_inner_failure_stops_only_its_own_picture(folder, error):
    outcomes = list(run(Painter(error), plan(folder / "pictures", folder / "masks"), Output(folder / "out")))
    assert len(outcomes) == 4 and all(o.problem and "\n" not in str(o) for o in outcomes)


def test_ctrl_c_stops_all(folder):
    with pytest.raises(KeyboardInterrupt):
        list(run(Painter(KeyboardInterrupt()), plan(folder / "pictures", folder / "masks"), Output(folder / "out")))


def test_closing_stops_before_the_next_picture(folder):
    painter = Painter()
    outcomes = run(painter, plan(folder / "pictures", folder / "masks"), Output(folder / "out"))
    next(outcomes)
    outcomes.close()
    assert len(painter.asked) == 1 and os.listdir(folder / "out") == ["a.png"]


def test_nothing_is_written_over(folder):
    jobs = plan(folder / "pictures", folder / "masks")[:1]
    for _ in range(2):
        list(run(Painter(), jobs, Output(folder / "out", ".webp"), {"count": 2, "seed": 1}))
    assert sorted(os.listdir(folder / "out")) == ["a-1.webp", "a-2.webp", "a-3.webp", "a-4.webp"]


def test_masks_in_the_same_folder_are_no_pictures(folder):
    for name in ("a.png", "b_mask.png"):
        (folder / "masks" / name).rename(folder / "pictures" / f"{name[0]}_mask.png")
    for masks in (None, folder / "pictures"):
        jobs = plan(folder / "pictures", masks)
        assert [job.picture.name for job in jobs] == ["a.jpg", "b.png", "c.jpg", "d.png"]
        assert [job.mask and job.mask.name for job in jobs] == ["a_mask.png", "b_mask.png", None, None]


def test_one_mask_file_lying_among_the_pictures_is_no_picture(folder):
    mask = folder / "pictures" / "b.png"
    assert [job.picture.name for job in plan(folder / "pictures", mask)] == ["a.jpg", "c.jpg", "d.png"]


def test_a_folder_without_pictures_is_refused(tmp_path):
    for where in (tmp_path, tmp_path / "no"):
        with pytest.raises(InvalidRequest):
            plan(where)
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(InvalidRequest):
        plan(tmp_path, tmp_path / "no-masks")


def test_with_the_toy_a_folder_becomes_results(tmp_path, photo):
    mask = Image.new("L", photo.size)
    mask.paste(255, (30, 30, 50, 50))
    for name, image in (("a.png", photo), ("b.png", photo), ("a_mask.png", mask)):
        image.save(tmp_path / name)
    (tmp_path / "out").mkdir()
    settings = {"steps": 2, "size": 64, "seed": 1}
    outcomes = list(run(inpaint.load("toy"), plan(tmp_path), Output(tmp_path / "out"), settings))
    assert [o.result is not None for o in outcomes] == [True, False] and isinstance(outcomes[0], Outcome)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["a.png"]
    assert inpaint.Request.from_image(tmp_path / "out" / "a.png").seed == 1


def test_suffixes_are_small_and_known():
    assert all(s.startswith(".") and s == s.lower() for s in batch.SUFFIXES)
    assert set(inpaint.files.writing.FORMATS) <= set(batch.SUFFIXES)
