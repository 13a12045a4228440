"""Fill the disk, or kill the program, while a file is stored: the old file or the whole new one remains."""

import errno
import io
import os
import random
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

import inpaint
from inpaint import InpaintError, Request
from inpaint.cli.main import main
from inpaint.files import writing
from tests.fakes import Painter, opened
from tests.robustness.faults import victim

ROOT = Path(__file__).parents[2]
KINDS = ("png", "jpeg", "film")
MOMENTS = ("half", "fsync", "replace", "replaced")


def start(folder: Path, what: str, moment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.robustness.faults.victim", str(folder), what, moment],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def killed(process: subprocess.Popen) -> None:
    """It has come to its moment, and is no more."""
    with process:
        line = process.stdout.readline()
        process.kill()  # SIGKILL
        assert line == b"here\n", process.stderr.read().decode()
    assert process.returncode == -9


def seen(folder: Path) -> list[str]:
    """What a person finds there: what is written by halves has a name that begins with a dot."""
    return sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))


def whole(path: Path) -> bool:
    """Whether it can be read to its end."""
    with Image.open(path) as image:
        for k in range(getattr(image, "n_frames", 1)):
            image.seek(k)
            image.load()
    return True


@pytest.mark.parametrize("what", KINDS)
def test_killed_at_any_moment_of_a_save(tmp_path, what):
    victims = {}
    for moment in MOMENTS:
        folder = tmp_path / moment
        folder.mkdir()
        (folder / victim.NAMES[what]).write_bytes(b"old")
        victims[moment] = start(folder, what, moment)
    for moment, process in victims.items():
        killed(process)
        target = tmp_path / moment / victim.NAMES[what]
        assert seen(target.parent) == [target.name], moment
        assert whole(target) if moment == "replaced" else target.read_bytes() == b"old", moment
        victim.save(what, target)  # what was left behind is in nobody's way
        assert whole(target) and seen(target.parent) == [target.name]


@pytest.mark.parametrize(
    ("what", "moment", "there"),
    [
        ("run", "1", []),
        ("run", "4", []),
        ("run", "replace", []),
        ("batch", "6", ["a.png"]),
    ],
)
def test_killed_in_the_middle_of_a_run(tmp_path, what, moment, there):
    (tmp_path / "in").mkdir()
    for name in ("photo.png", "in/a.png", "in/b.png"):
        victim.picture().save(tmp_path / name)
    mask = Image.new("L", (120, 90))
    mask.paste(255, (30, 30, 60, 60))
    mask.save(tmp_path / "mask.png")
    killed(start(tmp_path, what, moment))
    names = seen(tmp_path / "out") if what == "batch" else sorted({*seen(tmp_path)} - {"in", "mask.png", "photo.png"})
    assert names == there
    assert all(whole(tmp_path / "out" / name) for name in there)


def test_a_disk_that_takes_no_more(tmp_path):
    """The system itself cuts every file off at 100 bytes; in a process of its own."""
    code = (
        "import resource, sys; from pathlib import Path; from tests.robustness.faults import victim\n"
        "from inpaint import InpaintError\n"
        "victim.save('png', Path(sys.argv[1]) / 'first.png')\n"  # all is imported by now
        f"for kind in {KINDS}:\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))\n"
        "    try: victim.save(kind, Path(sys.argv[1]) / victim.NAMES[kind])\n"
        "    except InpaintError as error: print(error)\n"
    )
    for kind in KINDS:
        (tmp_path / victim.NAMES[kind]).write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    said = done.stdout.splitlines()
    assert len(said) == len(KINDS), done.stdout
    assert all("cannot be written" in line and "Free some space" in line for line in said)
    assert sorted(os.listdir(tmp_path)) == sorted(["first.png", *(victim.NAMES[kind] for kind in KINDS)])
    assert all((tmp_path / victim.NAMES[kind]).read_bytes() == b"old" for kind in KINDS)


class Full(io.FileIO):
    """A file on a disk with 100 bytes left."""

    left = 100

    def write(self, data):
        if len(data) > self.left:
            super().write(data[: self.left])
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.fixture
def full(monkeypatch):
    """From now on the disk is full."""
    return lambda patch=monkeypatch: patch.setattr(writing, "open", Full, raising=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_leaves_the_earlier_file_and_nothing_beside_it(tmp_path, full, kind):
    target = tmp_path / victim.NAMES[kind]
    target.write_bytes(b"old")
    full()
    with pytest.raises(InpaintError, match=r"no space left on device\. Free some space") as error:
        victim.save(kind, target)
    assert "\n" not in str(error.value)
    assert target.read_bytes() == b"old" and os.listdir(tmp_path) == [target.name]


def test_a_full_disk_on_the_command_line(tmp_path, full, monkeypatch, capsys):
    victim.picture().save(tmp_path / "photo.png")
    (tmp_path / "out.png").write_bytes(b"old")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inpaint, "load", lambda *_, **__: Painter())
    full()
    assert main(["photo.png", "-", "x", "-o", "out.png"]) == 1
    said = capsys.readouterr().err
    assert "Free some space" in said and "Traceback" not in said and "debug" not in said
    assert (tmp_path / "out.png").read_bytes() == b"old" and sorted(os.listdir()) == ["out.png", "photo.png"]


def test_a_batch_goes_on_when_there_is_room_again(tmp_path, full, monkeypatch):
    from inpaint.batch import Output, plan, run

    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name in "abc":
        victim.picture().save(tmp_path / "in" / f"{name}.png")
    outcomes = run(Painter(), plan(tmp_path / "in"), Output(tmp_path / "out"))
    assert not next(outcomes).problem
    with monkeypatch.context() as patch:
        full(patch)
        problem = next(outcomes).problem
    assert "Free some space" in problem and not next(outcomes).problem
    assert seen(tmp_path / "out") == sorted(os.listdir(tmp_path / "out")) == ["a.png", "c.png"]


@pytest.fixture
def jumping(monkeypatch):
    """The wall clock jumps days to and fro with every look at it."""
    dice, real = random.Random(1), time.time

    class Jumping(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(time.time(), tz)

    monkeypatch.setattr(time, "time", lambda: real() + 86400 * dice.uniform(-400, 400))
    monkeypatch.setattr("datetime.datetime", Jumping)
    assert len({int(time.time()) for _ in range(9)}) == 9


def test_progress_and_report_know_no_wall_clock(jumping, photo, tmp_path):
    from inpaint.cli.progress import Progress, summary

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    progress, said = Progress(Terminal()), []
    mask = Image.new("L", photo.size)
    mask.paste(255, (30, 30, 60, 60))
    for event in inpaint.load("toy").stream(Request("", photo, mask, steps=9, seed=1)):
        if isinstance(event, inpaint.Result):
            break
        progress(event)
        said.append(event.seconds)
    assert all(seconds >= 0 for seconds in event.report["seconds"].values()) and said == sorted(said)
    assert event.report["seconds"]["total"] < 60 and "-" not in summary(event)
    lines = progress.stream.getvalue().split("\r\x1b[K")[1:]
    assert len(lines) == 9 and not any("-" in line or " h " in line for line in lines)
    assert opened(event.save(tmp_path / "out.png")).size == photo.size
    assert Request.from_image(tmp_path / "out.png").seed == 1
    assert writing.write_new(tmp_path / "out.png", b"x").name == "out-1.png"  # no names by date that could come twice
