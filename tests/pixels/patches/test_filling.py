"""Content-aware fill: what it may copy from, that it repeats, and how well it continues what is around."""

import sys
import threading
import time

import numpy as np
import pytest

from inpaint.pixels.patches import fill_patches, filling, library
from inpaint.pixels.patches.library import Library, LibraryFailed

TWO = np.array([[200, 40, 40], [40, 40, 200]], np.uint8)


def stripes(height=160, width=200) -> np.ndarray:
    """Slanted stripes of two colours, 8 pixels wide, with a fine grain."""
    y, x = np.mgrid[0:height, 0:width]
    grain = np.random.default_rng(3).integers(-6, 7, (height, width, 1))
    return (TWO[(x + y) // 8 % 2].astype(int) + grain).clip(0, 255).astype(np.uint8)


def box(shape, top, left, bottom, right) -> np.ndarray:
    hole = np.zeros(shape[:2], bool)
    hole[top:bottom, left:right] = True
    return hole


def filled(picture: np.ndarray, hole: np.ndarray, *more) -> np.ndarray:
    """The picture with its hole filled, after checking that nothing else was touched."""
    hidden, out = picture.copy(), picture.copy()
    hidden[hole] = (0, 255, 0)  # what must go, in a colour that is nowhere else
    out[hole] = (0, 255, 0)
    for part in fill_patches(hidden, hole, *more):
        if part is not None:
            assert not (part.hole & ~hole[part.box.top : part.box.bottom, part.box.left : part.box.right]).any()
            out[part.box.top : part.box.bottom, part.box.left : part.box.right][part.hole] = np.rint(
                part.pixels[part.hole]
            )
    assert np.array_equal(out[~hole], picture[~hole])
    return out


def error(out: np.ndarray, picture: np.ndarray, hole: np.ndarray) -> float:
    return float(np.abs(out[hole].astype(int) - picture[hole]).mean())


@pytest.mark.parametrize(
    "hole",
    [
        pytest.param((40, 60, 100, 130), id="60 by 70"),
        pytest.param((0, 0, 50, 60), id="in the corner"),
        pytest.param((20, 100, 140, 104), id="a scratch"),
    ],
)
def test_a_pattern_goes_on(hole):
    picture = stripes()
    hole = box(picture.shape, *hole)
    out = filled(picture, hole)
    assert error(out, picture, hole) < 16  # a flat mean of both colours is 80 away
    assert (out[hole][:, 1] < 70).all(), "something of what must go was copied"


def test_a_large_hole_is_shown_coarse_first_and_has_the_grain_of_its_surroundings(monkeypatch):
    monkeypatch.setattr(filling, "COARSE", 40**2)
    picture = stripes()
    hole = box(picture.shape, 40, 60, 120, 150)
    parts = [part for part in fill_patches(picture, hole) if part is not None]
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True] and len(parts) >= 2
    out = parts[-1].pixels.astype(int)
    where = np.s_[parts[-1].box.top : parts[-1].box.bottom, parts[-1].box.left : parts[-1].box.right]
    rough = np.abs(np.diff(out[..., 1], axis=1))  # green holds the grain alone
    inside = hole[where][:, 1:]
    assert 0.7 < rough[inside].mean() / rough[~inside].mean() < 1.3
    coarse = np.abs(np.diff(parts[0].pixels.astype(int)[..., 1], axis=1))
    assert coarse[inside].mean() < 0.5 * rough[~inside].mean()


def test_specks_are_filled_at_once_and_no_other_island_is_a_source():
    picture, rng = stripes(300, 400), np.random.default_rng(5)
    hole = np.zeros(picture.shape[:2], bool)
    for y, x in zip(rng.integers(10, 290, 60), rng.integers(10, 390, 60), strict=True):
        hole[y - 2 : y + 3, x - 2 : x + 3] = True
    out = filled(picture, hole)
    assert error(out, picture, hole) < 16 and (out[hole][:, 1] < 70).all()


def test_nothing_is_copied_from_what_is_to_be_avoided():
    picture = stripes()
    picture[:, :60] = (250, 250, 10)  # something else, that must not be copied
    hole, avoid = box(picture.shape, 50, 60, 110, 120), box(picture.shape, 0, 0, 160, 60)
    out = filled(picture, hole, avoid)
    assert (out[hole][:, 1] < 160).mean() > 0.97
    assert not (out[hole] == (250, 250, 10)).all(1).any()


def test_equal_seeds_give_equal_pictures_across_runs_and_threads():
    picture = stripes()
    hole = box(picture.shape, 40, 60, 100, 130)
    first, again, elsewhere = filled(picture, hole, None, 7), filled(picture, hole, None, 7), []
    thread = threading.Thread(target=lambda: elsewhere.append(filled(picture, hole, None, 7)))
    thread.start()
    thread.join()
    assert np.array_equal(first, again) and np.array_equal(first, elsewhere[0])
    assert not np.array_equal(first, filled(picture, hole, None, 8))


@pytest.mark.parametrize("hole", [(0, 0, 160, 200), (2, 2, 158, 198)], ids=["all of it", "all but a rim"])
def test_with_nothing_to_copy_from_it_becomes_smooth(hole):
    picture = stripes()
    out = filled(picture, box(picture.shape, *hole))
    assert out.shape == picture.shape


def test_closing_it_ends_the_native_call_at_once():
    picture = np.random.default_rng(0).integers(0, 256, (900, 900, 3)).astype(np.uint8)
    hole = box(picture.shape, 200, 200, 700, 700)
    mine = Library()
    work = mine.fill(picture, hole, np.zeros_like(hole), 0)
    next(work)
    process, began = mine.process, time.perf_counter()
    work.close()
    assert time.perf_counter() - began < 0.5 and process.poll() is not None
    small = box((64, 64), 20, 20, 40, 40)
    assert finished(mine.fill(stripes(64, 64), small, np.zeros_like(small), 0)).shape == (64, 64, 3)
    mine.close()


def test_a_crash_of_the_library_is_survived(monkeypatch, tmp_path):
    broken = tmp_path / "crash.py"
    broken.write_text("import os, sys; sys.stdin.buffer.read(16); os.abort()")
    monkeypatch.setattr(library, "PROGRAM", broken)
    mine = Library()
    hole = box((64, 64), 20, 20, 40, 40)
    with pytest.raises(LibraryFailed):
        finished(mine.fill(stripes(64, 64), hole, np.zeros_like(hole), 0))
    monkeypatch.setattr(library, "libraries", [mine])
    picture = stripes()
    large = box(picture.shape, 40, 60, 90, 110)
    assert error(filled(picture, large), picture, large) < 40  # less well, but it is filled
    mine.close()


def test_the_process_ends_with_ours(tmp_path):
    import subprocess

    code = (
        "import numpy as np\nfrom inpaint.pixels.patches.library import libraries\nlibraries[0].start()\n"
        "print(libraries[0].process.pid, flush=True)\nimport os\nos._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    pid, end = int(done.stdout), time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < end, "the process is still there"
        time.sleep(0.02)


def finished(work) -> np.ndarray:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def alive(pid: int) -> bool:
    import os

    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_smooth_surface_goes_on_without_a_step_however_large_the_hole():
    """Sky: a slope of a level in four pixels, and a grain of one."""
    y, x = np.mgrid[0:420, 0:480]
    grain = np.random.default_rng(5).integers(-1, 2, (420, 480, 1))
    picture = ((70 + x / 6 + y / 9)[..., None] + (0, 10, 40) + grain).clip(0, 255).astype(np.uint8)
    hole = box(picture.shape, 120, 140, 300, 340)
    out = filled(picture, hole)
    assert error(out, picture, hole) < 2.5
