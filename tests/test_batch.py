"""A folder of pictures: the right mask for each, and no failure that stops the rest."""

import io
import os
import zipfile
from pathlib import Path

import pytest
from PIL import Image

import inpaint
from inpaint import InpaintError, InvalidRequest, batch
from inpaint.batch import Item, Outcome, Output, pair, plan, run, split
from inpaint.files import zips
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


def test_a_missing_mask_is_a_job_that_says_so():
    found, missing = pair(paths("a.jpg", "b.jpg"), paths("a.png"))
    assert found.problem == "" and missing.mask is None and "b_mask.png" in missing.problem


def test_pictures_and_masks_are_told_apart():
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


def test_a_failure_is_told_and_the_rest_goes_on(folder):
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


# zip files


def zipped(files: dict[str, bytes], **settings) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **settings) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def test_a_zip_comes_out_as_it_went_in(tmp_path):
    data = zipped(
        {
            "a.png": b"1",
            "sub/b.jpg": b"2",
            "masks/a.png": b"3",
            "notes.txt": b"4",
            "__MACOSX/a.png": b"5",
            ".x.png": b"6",
            "empty/": b"",
        },
        compression=zipfile.ZIP_DEFLATED,
    )
    (tmp_path / "in.zip").write_bytes(data)
    for k, source in enumerate((data, tmp_path / "in.zip", str(tmp_path / "in.zip"), io.BytesIO(data))):
        folder = tmp_path / str(k)
        files = zips.unpack(source, folder)
        assert [f.relative_to(folder).as_posix() for f in files] == ["a.png", "masks/a.png", "sub/b.jpg"]
        assert [f.read_bytes() for f in files] == [b"1", b"3", b"2"]
        assert {f for f in folder.rglob("*") if f.is_file()} == set(files)


def link(name: str) -> bytes:
    file, info = io.BytesIO(), zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return file.getvalue()


def locked() -> bytes:
    data = bytearray(zipped({"a.png": b"1"}))
    data[data.index(b"PK\1\2") + 8] |= 1
    return bytes(data)


def liar() -> bytes:
    """Announces ten bytes, unpacks to many."""
    data = bytearray(zipped({"a.png": bytes(3_000_000)}, compression=zipfile.ZIP_DEFLATED))
    at = data.index(b"PK\1\2")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    return bytes(data)


SLIPS = [
    "../a.png",
    "/etc/a.png",
    "a/../../b.png",
    "..\\a.png",
    "C:\\a.png",
    "c:a.png",
    "a\nb.png",
    "\\\\host\\a.png",
]


@pytest.mark.parametrize(
    "data",
    [
        *(zipped({name: b"x"}) for name in SLIPS),
        link("a.png"),
        locked(),
        b"",
        b"PK",
        b"x" * 99,
        zipped({"a.png": b"1", "A.png": b"2"}),
        liar(),
        zipped({"a.png": b"1" * 99})[:-40],
    ],
)
def test_hostile_zips_are_refused_and_nothing_lands_outside(tmp_path, data):
    inside = tmp_path / "deep" / "in"
    inside.mkdir(parents=True)
    with pytest.raises(InvalidRequest, match="The zip cannot be used") as caught:
        zips.unpack(data, inside)
    assert caught.value.field == "batch" and "\n" not in str(caught.value)
    assert [f for f in tmp_path.rglob("*") if f.is_file() and inside not in f.parents] == []


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILES", 2), ("MAX_FILE", 1000), ("MAX_BYTES", 2000)])
def test_bombs_are_refused(tmp_path, monkeypatch, limit, value):
    data = zipped(
        {f"{k}.png": bytes(1000) for k in range(2)} | {"c.png": bytes(1001)}, compression=zipfile.ZIP_DEFLATED
    )
    zips.unpack(data, tmp_path / "good")
    monkeypatch.setattr(zips, limit, value)
    with pytest.raises(InvalidRequest, match="The zip cannot be used"):
        zips.unpack(data, tmp_path / "bad")


def test_a_full_disk_is_not_called_a_broken_zip(tmp_path):
    (tmp_path / "in").write_text("a file where a folder is needed")
    with pytest.raises(InpaintError, match="cannot be unpacked"):
        zips.unpack(zipped({"a.png": b"1"}), tmp_path / "in")


def test_packing_keeps_all_files_apart(tmp_path):
    files = []
    for folder in ("x", "y", "z"):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "a.png")
        files[-1].write_bytes(folder.encode())
    with zipfile.ZipFile(zips.pack(files, tmp_path / "out.zip")) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "a.png": b"x",
            "a-1.png": b"y",
            "a-2.png": b"z",
        }
        assert archive.testzip() is None
    with pytest.raises(InpaintError):
        zips.pack([tmp_path / "gone.png"], tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists() and not list(tmp_path.glob(".inpaint-*"))


def test_with_the_toy_from_zip_to_zip(tmp_path, photo):
    file = io.BytesIO()
    photo.save(file, "PNG")
    mask = Image.new("L", photo.size)
    mask.paste(255, (30, 30, 50, 50))
    marked = io.BytesIO()
    mask.save(marked, "PNG")
    data = zipped({"a.png": file.getvalue(), "b.png": file.getvalue(), "a_mask.png": marked.getvalue()})
    jobs = pair(*split(zips.unpack(data, tmp_path / "in")))
    (tmp_path / "out").mkdir()
    outcomes = list(run(inpaint.load("toy"), jobs, Output(tmp_path / "out"), {"steps": 2, "size": 64, "seed": 1}))
    assert [o.result is not None for o in outcomes] == [True, False] and isinstance(outcomes[0], Outcome)
    packed = zips.pack([f for o in outcomes for f in o.files], tmp_path / "out.zip")
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist() == ["a.png"]
        assert inpaint.Request.from_image(archive.read("a.png")).seed == 1


def test_suffixes_are_small_and_known():
    assert all(s.startswith(".") and s == s.lower() for s in batch.SUFFIXES)
    assert set(inpaint.files.writing.FORMATS) <= set(batch.SUFFIXES)
