"""Start a real server and a real browser: Debian's Chromium, found by its name."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from tests.browser import hands

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def served(program: str, folder: Path, *arguments: str):
    """Yields the address of the program's page; its output goes to a file in the folder."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / program), "--port", str(port), *arguments],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder), "INPAINT_MAX_AWAY_SECONDS": "12"},
        )
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(address, timeout=2).close()
                    break
                except OSError:
                    assert process.poll() is None, (folder / "server.log").read_text()
                    time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait(20)
    log = (folder / "server.log").read_text().replace("a run failed\nTraceback", "")
    assert "Traceback" not in log, log
    assert not list(folder.glob("inpaint-*")), "the private folder is still there"


@pytest.fixture(scope="package")
def fake(tmp_path_factory):
    """The page with a fake painter, as slow or broken as a prompt asks."""
    yield from served("tests/browser/serve.py", tmp_path_factory.mktemp("fake"))


@pytest.fixture(scope="package")
def real(tmp_path_factory):
    """The page with the built-in model."""
    yield from served("app.py", tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="package")
def browser():
    """Chromium, closed with the last test here: as long as it is open, no other event loop can run in this thread."""
    if CHROMIUM is None:
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-features=OverlayScrollbar"],
            ignore_default_args=["--hide-scrollbars"],  # as on most desktops: they take room
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """visit(address, **context) -> a page whose errors and requests abroad fail the test."""
    contexts, wrong = [], []

    def visit(address: str, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
        contexts.append(context)
        context.route(
            lambda url: not url.startswith((address, "data:", "blob:")),
            lambda route: (wrong.append(f"request abroad: {route.request.url}"), route.abort()),
        )
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"script error: {error}"))
        page.on("response", lambda answer: wrong.append(f"closed: {answer.url}") if answer.status == 404 else None)
        page.set_default_timeout(60_000)
        page.goto(address)
        page.wait_for_selector(".welcome")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not wrong, wrong


@pytest.fixture(scope="session")
def photo(tmp_path_factory) -> Path:
    """A photo that no display copy can stand in for: noise, 700 × 500, as PNG."""
    path = tmp_path_factory.mktemp("photos") / "noise.png"
    Image.effect_noise((700, 500), 90).convert("RGB").save(path)
    return path


@pytest.fixture
def painter(visit, fake, photo):
    """A page on the pretending painter, the photo open."""
    page = visit(fake)
    hands.open_photo(page, photo)
    return page
