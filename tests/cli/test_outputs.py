"""Check where results go: no file is overwritten, nothing is lost, and a closed folder is reported at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from inpaint import Request
from inpaint.cli.main import main

from ..fakes import result_of
from .test_main import ROOT, failing

# what is never written over


def snapshot() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-o", "cat.png"], "result would overwrite the picture"),
        (["-o", "mask.png"], "result would overwrite the mask"),
        (["-o", "link.png"], "result would overwrite the picture"),
        (["-o", "hard.png"], "result would overwrite the mask"),
        (["-o", "o.png", "--film", "cat.png"], "film would overwrite the picture"),
        (["-o", "o.png", "--film", "./mask.png"], "film would overwrite the mask"),
        (["--film", "link.png"], "film would overwrite the picture"),
        (["-o", "o.png", "--film", "o.png"], "both be"),
        (["-o", "o.png", "--film", "./O.PNG"], "both be"),
        (["-o", "o.png", "--count", "3", "--film", "o-2.png"], "both be"),
        (["--film", "cat-inpainted.png"], "both be"),
        (["--film", "cat-inpainted-2.png", "--count", "2"], "both be"),
    ],
)
def test_no_input_is_written_over_and_no_two_outputs_share_a_file(workdir, painter, capsys, words, sentence):
    os.symlink("cat.png", "link.png")
    os.link("mask.png", "hard.png")
    before = snapshot()
    code, err = failing(["cat.png", "mask.png", "x", *words], capsys)
    assert code == 2 and sentence in err and painter.loaded == [] and snapshot() == before


def test_numbered_results_spare_the_inputs_too(workdir, painter, capsys):
    os.rename("cat.png", "o-1.png")
    os.rename("mask.png", "o-2.png")
    before = snapshot()
    for inputs in (["o-1.png", "-", "x"], ["o-2.png", "o-1.png"]):
        code, err = failing([*inputs, "-o", "o.png", "--count", "2"], capsys)
        assert code == 2 and snapshot() == before, err


def test_a_saved_result_is_not_written_over_by_its_own_variation(workdir, painter, capsys):
    result_of(Request("a scarf", "cat.png", "mask.png", seed=5)).save("made.png")
    before = snapshot()
    for words in (["-o", "made.png"], ["-o", "o.png", "--film", "made.png"]):
        code, err = failing(["--from", "made.png", *words], capsys)
        assert code == 2 and "overwrite the saved result" in err and snapshot() == before


@pytest.mark.parametrize("count", [1, 2, 3])
def test_without_a_name_no_earlier_result_is_replaced(workdir, painter, count):
    before = snapshot()
    for run in (1, 2, 3):
        assert main(["cat.png", "mask.png", "x", "--count", str(count), "--seed", str(10 * run)]) == 0
        after = snapshot()
        assert before.items() <= after.items() and len(after) == len(before) + count
        before = after


def test_a_file_that_appears_while_it_runs_is_kept(workdir, painter, capsys):
    stream = painter.stream

    def slow(request, fills=False):
        yield from stream(request, fills)
        Path("cat-inpainted.png").write_bytes(b"another program's")  # after the names were looked at

    painter.stream = slow
    assert main(["cat.png", "mask.png", "x", "--json"]) == 0
    assert Path("cat-inpainted.png").read_bytes() == b"another program's"
    assert json.loads(capsys.readouterr().out)["out"] == ["cat-inpainted-1.png"]


# where nothing can be written


def test_a_read_only_file_is_not_replaced(workdir, painter, capsys):
    for name in ("out.png", "film.webp", "out-2.png"):
        Path(name).write_bytes(b"kept")
        os.chmod(name, 0o444)
    for words in (["-o", "out.png"], ["-o", "o.png", "--film", "film.webp"], ["-o", "out.png", "--count", "2"]):
        code, err = failing(["cat.png", "mask.png", "x", *words], capsys)
        assert code == 2 and "read-only" in err and painter.loaded == []
    assert Path("out.png").read_bytes() == b"kept"


@pytest.fixture
def closed(workdir, monkeypatch):
    """A folder in which nothing can be written, whoever runs the tests."""
    import tempfile

    (workdir / "closed").mkdir()
    Path("cat.png").replace("closed/cat.png")
    make = tempfile.TemporaryFile

    def refusing(*args, dir=None, **settings):
        if "closed" in str(dir):
            raise OSError(30, "Read-only file system", str(dir))
        return make(*args, dir=dir, **settings)

    monkeypatch.setattr(tempfile, "TemporaryFile", refusing)
    return workdir / "closed"


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["closed/cat.png", "mask.png", "x"], "Give -o a name in another folder."),
        (["closed/cat.png", "mask.png", "x", "-o", "closed/o.png"], "Choose a file"),
        (["closed/cat.png", "mask.png", "x", "-o", "o.png", "--film", "closed/f.gif"], "Choose a file"),
        (["--batch", "closed", "--masks", "mask.png", "x", "-o", "closed"], "Choose another place."),
        (["--batch", "closed", "--masks", "mask.png", "x", "-o", "closed/new"], "Choose another place."),
    ],
)
def test_a_read_only_folder_is_refused_before_the_work(closed, painter, capsys, words, advice):
    code = main(words)
    err = capsys.readouterr().err
    assert code == 2 and "read-only file system" in err and advice in err and painter.loaded == []


@pytest.mark.parametrize("length", [240, 251, 254, 255, 256, 400])
def test_a_long_name_is_shortened_or_refused_in_one_sentence(workdir, painter, capsys, length):
    name = "ä" * ((length - 4) // 2) + ".png"
    code = main(["cat.png", "mask.png", "x", "-o", name])
    err = capsys.readouterr().err
    if len(name.encode()) <= 255:
        assert code == 0 and Path(name).is_file()
        assert main([name, "mask.png", "y"]) == 0  # the name beside it would be longer
        assert main([name, "mask.png", "y", "--count", "2"]) == 0
        assert main([name, "mask.png", "y", "--count", "2", "-o", name.replace("png", "webp")]) == 0
        assert main(["--batch", ".", "--masks", "mask.png", "-o", "out", "--format", "webp"]) == 0
        assert len(os.listdir("out")) == len(os.listdir(".")) - 2 and max(map(len, os.listdir("out"))) <= 255
    else:
        assert code == 2 and "name is too long" in err and err.count("\n") == 1 and painter.loaded == []


# results that do not hold everything


def settings_only(name: str) -> str:
    result_of(Request("a scarf", "cat.png", "mask.png", seed=5)).save(name, metadata="settings")
    return name


@pytest.mark.parametrize("name", ["made.jpg", "made.webp", "made.png"])
def test_settings_without_their_mask_do_not_repaint_everything(workdir, painter, capsys, name):
    settings_only(name)
    for words in ([], ["cat.png"], ["-"], ["--seed", "6"]):
        code, err = failing(["--from", name, *words], capsys)
        assert code == 2 and "not the photo and the mask" in err and painter.loaded == []
    assert main(["--from", name, "cat.png", "mask.png", "-o", "again.png"]) == 0
    assert painter.asked[-1].mask.getbbox() == (10, 10, 20, 20) and painter.asked[-1].seed == 5
    assert main(["--from", name, "-", "-", "-o", "all.png"]) == 0
    assert painter.asked[-1].mask is None
    assert main(["--from", name, "--expand", "4,0,0,0", "-o", "wide.png"]) == 0


def test_a_result_made_without_a_mask_is_repeated_without_one(workdir, painter):
    result_of(Request("a scarf", "cat.png", strength=0.5, seed=5)).save("made.png")
    assert main(["--from", "made.png", "-o", "again.png"]) == 0
    result_of(Request("a castle", seed=5)).save("castle.png")
    assert main(["--from", "castle.png", "-o", "again.png"]) == 0


# stopping


def test_ctrl_c_in_a_batch_reports_what_was_done_as_json(workdir, painter, capsys):
    for name in ("dog.png", "eel.png"):
        Image.new("RGB", (40, 30)).save(name)
    stream = painter.stream

    def twice(request):
        if len(painter.asked) == 2:
            raise KeyboardInterrupt
        yield from stream(request)

    painter.stream = twice
    assert main(["--batch", ".", "--masks", "mask.png", "x", "-o", "out", "--json"]) == 130
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert [Path(one["picture"]).name for one in said["pictures"]] == ["cat.png", "dog.png"]
    assert (
        said["stopped"] is True and said["failed"] == 0 and err.endswith("2 of 3 pictures done.\ninpaint: Stopped.\n")
    )


@pytest.mark.parametrize("seconds", [0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5])
def test_an_early_ctrl_c_shows_no_traceback(workdir, seconds):
    """The signal comes after the command's first module is read; before that nothing can handle it."""
    code = (
        "import os, signal, sys, threading\n"
        f"timer = threading.Timer({seconds}, os.kill, (os.getpid(), signal.SIGINT))\n"
        "def begin(event, details):\n"
        "    if event == 'import' and details[0] == 'inpaint.cli': timer.start()\n"
        "sys.addaudithook(begin)\n"
        "import runpy; sys.argv = ['inpaint', 'cat.png', 'mask.png', 'x', '-o', 'out.png', '--model', 'toy', "
        "'--steps', '150', '--size', '1024']\n"
        "runpy.run_module('inpaint', run_name='__main__')"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=workdir, capture_output=True, text=True, timeout=120,
                         env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert run.returncode == 130 and run.stderr.endswith("inpaint: Stopped.\n") and "Traceback" not in run.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437"])
def test_help_fits_every_console(encoding):
    run = subprocess.run([sys.executable, "-m", "inpaint", "--help"], cwd=ROOT, capture_output=True,
                         env={**os.environ, "PYTHONIOENCODING": encoding})  # fmt: skip
    assert run.returncode == 0 and b"--steps" in run.stdout, run.stderr
