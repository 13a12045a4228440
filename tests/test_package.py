"""Check the package: a wheel is built, installed into a new environment, and works outside the checkout."""

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import tomllib
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image

import inpaint

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from what is under version control: no leftovers of earlier builds."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")):
        path = Path(os.fsdecode(name))
        if path.parts[0] in ("inpaint", "page", "assets") or len(path.parts) == 1:
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / path).is_file():
                shutil.copyfile(ROOT / path, source / path)
    build = ["wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", out, source]
    done = subprocess.run([sys.executable, "-m", "pip", *build], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The folder of programs of a new environment that holds the wheel, and what it needs by a link."""
    home = tmp_path_factory.mktemp("fresh env ä")
    venv.create(home, with_pip=False)
    python = next(path for name in ("bin/python", "Scripts/python.exe") if (path := home / name).exists())
    packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    Path(packages, "tests-own.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True)
    return python.parent


def run(program: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([program, *words], cwd=cwd, env=clean, capture_output=True, text=True, timeout=300)


def test_the_wheel_holds_every_module_and_every_file_that_ships(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for top, package in (("inpaint", "inpaint"), ("page", "inpaint_page")):
        for path in (ROOT / top).rglob("*.py"):
            assert f"{package}/{path.relative_to(ROOT / top).as_posix()}" in names
    for folder in ("configs", "examples", "model", "page"):
        for path in (ROOT / "assets" / folder).rglob("*"):
            if path.is_file() and "openvino" not in path.parts:
                assert f"inpaint/assets/{path.relative_to(ROOT / 'assets').as_posix()}" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"inpaint", "inpaint_page"}
    assert not [name for name in names if "screens" in name or "__pycache__" in name or "/openvino/" in name]
    assert "inpaint/py.typed" in names and wheel.name.startswith(f"inpaint-{inpaint.__version__}-")


def test_a_photo_is_repainted_away_from_the_checkout(installed, tmp_path):
    mask = Image.new("L", (300, 200))
    mask.paste(255, (100, 50, 180, 130))
    mask.save(tmp_path / "mask.png")
    Image.new("RGB", (300, 200), (90, 140, 60)).save(tmp_path / "photo.jpg")
    assert "--steps" in run(installed / "inpaint", "--help", cwd=tmp_path).stdout
    words = ["photo.jpg", "mask.png", "pizza", "-o", "out.png", "--steps", "4", "--seed", "7", "--json"]
    done = run(installed / "inpaint", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["model"]["name"] == "builtin" and facts["report"]["max_change_outside"] == 0
    where = "import inpaint; from inpaint.paths import ASSETS; print(inpaint.__file__, ASSETS)"
    module, assets = run(installed / "python", "-c", where, cwd=tmp_path).stdout.split("__init__.py ")
    assert str(ROOT) not in module + assets and assets.strip() == f"{module}assets"


def test_the_page_starts_away_from_the_checkout(installed, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with (tmp_path / "log").open("w") as log:
        words = [installed / "inpaint-page", "--model", "toy", "--port", str(port)]
        page = subprocess.Popen(words, cwd=tmp_path, env=clean, stdout=log, stderr=log)
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5) as answer:
                    text = answer.read().decode()
                break
            except OSError:
                assert page.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.1)
        page.terminate()
        page.wait(30)
    assert "Inpaint" in text and "Traceback" not in (tmp_path / "log").read_text()


def test_what_it_depends_on_is_what_is_pinned():
    pinned = {line.split("==")[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}
    extra = PROJECT["optional-dependencies"]
    asked = {name.split(">")[0] for name in [*PROJECT["dependencies"], *extra["page"]]}
    assert {name.lower() for name in asked} == {name.lower() for name in pinned}
    assert {"page", "openvino", "mcp", "dev"} <= set(extra)


def test_one_version_and_one_python():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "version" in PROJECT["dynamic"] and PROJECT["requires-python"] == ">=3.11"
    assert "Python 3.11" in readme
    assert f"## {inpaint.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
