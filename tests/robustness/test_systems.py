"""Check that everything starts and paints on Windows, macOS, with a read-only home and odd paths."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from . import systems

ROOT = Path(__file__).resolve().parents[2]

PAINT = """
import json, sys; sys.path[:0] = [{root!r}, {tests!r}]
from tests.robustness import systems
systems.ROOT, systems.OURS = {root!r}, tuple({root!r} + "/" + name for name in ("inpaint", "page", "app.py"))
systems.become({system!r})
import inpaint
from inpaint.cli.main import main
painter = inpaint.load({model!r})
result = painter(inpaint.Request("a hat", {photo!r}, {mask!r}, seed=1, steps=2, size=64))
assert result.report["max_change_outside"] == 0
result.save("library.png"); again = inpaint.Request.from_image("library.png"); result.save("library.png")
assert again.seed == 1
import pathlib, torch
from inpaint.memory import malloc, paging
malloc.keep(); paging.page_out(torch.nn.Linear(4096, 64)); paging.page_out_file(pathlib.Path("library.png"))
words = [{photo!r}, {mask!r}, "a hat", "--steps", "2", "--size", "64", "--model", {model!r}]
assert main([*words, "--film", "film.webp", "--json"]) == 0
assert main([*words, "--count", "2", "-o", "named.jpg"]) == 0
assert main(["--batch", ".", "--masks", {mask!r}, "-o", "out", "--model", "toy", "--size", "64", "--steps", "1"]) == 0
print("painted")
"""

SERVE = """
import json, os, sys, threading; sys.path[:0] = [{root!r}, {tests!r}]
from tests.robustness import systems
systems.ROOT, systems.OURS = {root!r}, tuple({root!r} + "/" + name for name in ("inpaint", "page", "app.py"))
systems.become({system!r})
import socket, time, urllib.request
with socket.socket() as free:
    free.bind(("127.0.0.1", 0)); port = free.getsockname()[1]
from page.main import main

def visit():
    try:
        for _ in range(900):
            try:
                urllib.request.urlopen("http://127.0.0.1:%d" % port, timeout=5).close(); break
            except OSError:
                time.sleep(0.1)
        from gradio_client import Client, handle_file
        client = Client("http://127.0.0.1:%d" % port, verbose=False)
        files, told = client.predict(handle_file({photo!r}), handle_file({mask!r}), "", {{"steps": 2, "size": 64}},
                                     api_name="/inpaint")
        print(json.loads(told)["state"], flush=True)
    except BaseException as error:
        print("failed:", repr(error), flush=True)
    os._exit(0)

threading.Thread(target=visit, daemon=True).start()
main(["--model", "toy", "--port", str(port)])
"""


@pytest.fixture
def odd(tmp_path) -> Path:
    """A folder whose path holds spaces and letters beyond ASCII, with a picture and a mask of such names."""
    folder = tmp_path / "Meine Fotos ä 照片 'x'"
    folder.mkdir()
    Image.effect_noise((96, 64), 50).convert("RGB").save(folder / "größe 1.png")
    mask = Image.new("L", (96, 64))
    mask.paste(255, (10, 10, 40, 40))
    mask.save(folder / "größe 1_mask.png")
    return folder


def run(program: str, folder: Path, system: str = "bare", root: Path = ROOT, model: str = "toy", **changes) -> str:
    """Run the program in the folder; return what it printed."""
    program = program.format(
        root=str(root), tests=str(ROOT), system=system, model=model, photo="größe 1.png", mask="größe 1_mask.png"
    )
    environment = {**os.environ, "PYTHONWARNDEFAULTENCODING": "1", "PYTHONIOENCODING": "utf-8", **changes}
    environment = {name: value for name, value in environment.items() if value}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        encoding="utf-8",
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("system", ["windows", "macos", "bare"])
def test_library_and_command_line_paint(odd, system):
    assert "painted" in run(PAINT, odd, system)
    names = {path.name for path in odd.iterdir()}
    assert {"größe 1-inpainted.png", "named-1.jpg", "named-2.jpg", "film.webp"} < names
    assert not [name for name in names if name.endswith(".part")] and len(list((odd / "out").iterdir())) >= 4


@pytest.mark.parametrize("system", ["windows", "macos"])
def test_the_page_paints(odd, system):
    assert "done" in run(SERVE, odd, system)


def test_in_an_odd_checkout_with_odd_temporary_files_and_a_read_only_home(odd):
    """/proc is a home in which nobody can make anything, not even whoever runs the tests as root."""
    root, temporary = odd / "in paint ü", odd / "tmp é"
    temporary.mkdir()
    for name in ("inpaint", "page"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    ignored = shutil.ignore_patterns("screens", "openvino")
    shutil.copytree(ROOT / "assets", root / "assets", copy_function=os.link, ignore=ignored)
    changes = {"TMPDIR": str(temporary), "HOME": "/proc", "XDG_CACHE_HOME": "", "HF_HOME": "", "HF_HUB_CACHE": ""}
    assert "painted" in run(PAINT, odd, root=root, model="builtin", **changes)
    assert "done" in run(SERVE, odd, root=root, **changes)


def test_where_the_system_speaks_no_unicode(odd):
    """As in a bare container: file names come as bytes that no letter stands for."""
    changes = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    words = ["-m", "inpaint", "--batch", ".", "-o", "out", "--model", "toy", "--steps", "1", "--size", "64"]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=odd,
        env={**os.environ, **changes, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0 and b"1 of 1 pictures done" in done.stderr, done.stderr
    assert (odd / "out" / "größe 1.png").is_file()


def test_no_name_that_only_unix_has_is_used_unguarded():
    """By name in a string, as in getattr(signal, "SIGHUP", None), is the guarded way."""
    posix = {name for words in (*systems.POSIX.values(), *systems.LINUX.values()) for name in words.split()}
    found = []
    for path in [ROOT / "app.py", *(ROOT / "inpaint").rglob("*.py"), *(ROOT / "page").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            asked = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            if asked and node.attr in posix and node.value.id in ("os", "signal", "socket", "time"):
                found.append(f"{where} {node.value.id}.{node.attr}")
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                found += [f"{where} import {name}" for name in names if name.split(".")[0] in systems.MODULES]
    assert found == []


def test_every_text_file_is_read_and_written_as_utf_8():
    found = []
    for path in [ROOT / "app.py", *(ROOT / "inpaint").rglob("*.py"), *(ROOT / "page").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or any(key.arg == "encoding" for key in node.keywords):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            modes = [
                part.value for given in node.args[1:2] for part in ast.walk(given) if isinstance(part, ast.Constant)
            ]
            text_mode = isinstance(node.func, ast.Name) and name == "open" and not any("b" in mode for mode in modes)
            if name in ("read_text", "write_text") or text_mode:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []
