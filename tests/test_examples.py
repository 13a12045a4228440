"""Check that the programs in examples/ run with the built-in model and do what their first line says."""

import json
import runpy
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import inpaint

from .fakes import opened

ROOT = Path(__file__).parent.parent
PHOTO, MASK = ROOT / "assets" / "examples" / "wren.jpg", ROOT / "assets" / "examples" / "wren-mask.png"


@pytest.fixture(scope="module")
def painter():
    return inpaint.load("builtin")


@pytest.fixture
def example(painter, monkeypatch, tmp_path, capsys):
    """Run an example with these words, in a folder of its own, on a model that is loaded once; what it printed."""

    def run(name: str, *words) -> str:
        monkeypatch.setattr(inpaint, "load", lambda name: painter)
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        monkeypatch.chdir(tmp_path)
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def kept(path: Path) -> bool:
    """Whether every pixel that the mask leaves black is the photo's."""
    photo, result = (np.asarray(opened(each).convert("RGB")) for each in (PHOTO, path))
    mask = np.asarray(opened(MASK).convert("L").resize(opened(PHOTO).size))
    return np.array_equal(photo[mask == 0], result[mask == 0]) and not np.array_equal(photo, result)


def test_remove(example, tmp_path):
    assert "largest change outside the mask 0" in example("remove.py", PHOTO, MASK, "out.png")
    assert kept(tmp_path / "out.png")


def test_replace(example, tmp_path):
    assert "of [7, 8]" in example("replace.py", PHOTO, MASK, "pizza", "out.png")
    assert kept(tmp_path / "out.png")


def test_batch(example, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        Image.open(PHOTO).save(tmp_path / "in" / f"{name}.jpg")
    Image.open(MASK).save(tmp_path / "in" / "a_mask.png")
    told = example("batch.py", tmp_path / "in", tmp_path / "out")
    assert "a.jpg: a.png" in told and "b.jpg: There is no mask for it" in told
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_callback(example, tmp_path):
    told = example("callback.py", PHOTO, MASK, "pizza", "steps")
    assert told.count("\n") == 20 and "step 20 of 20" in told
    assert len(list((tmp_path / "steps").glob("step-*.png"))) == 20 and kept(tmp_path / "steps" / "result.png")


def test_api_client(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (tmp_path / "log").open("w") as log:
        words = ["app.py", "--model", "builtin", "--port", str(port)]
        page = subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=log, stderr=log)
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=2).close()
                    break
                except OSError:
                    assert page.poll() is None, (tmp_path / "log").read_text()
                    time.sleep(0.1)
            program = [sys.executable, "examples/api_client.py", f"http://127.0.0.1:{port}", PHOTO, MASK]
            done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=300)
        finally:
            page.terminate()
            page.wait(30)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("done") and "inpainted-1.png" in last and "step" in done.stdout


def test_the_notebook_is_one_and_its_programs_are_sound():
    notebook = json.loads((ROOT / "examples" / "colab.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4 and notebook["metadata"]["accelerator"] == "GPU"
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            lines = [line for line in cell["source"] if not line.startswith("!")]
            compile("".join(lines), "colab.ipynb", "exec")


def test_every_example_is_run_here():
    here = Path(__file__).read_text(encoding="utf-8")
    assert not [path.name for path in (ROOT / "examples").glob("*.py") if f"def test_{path.stem}(" not in here]
