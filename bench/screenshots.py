"""Take the README's pictures of the page: the real page in a real browser, on the built-in or another model.

python -m bench.screenshots FOLDER [--model NAME]   writes paint, watch, result, dark, phone and learn .png
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from .record import ROOT, free_port
from .soak_visitor import chromium

SIZES = {"desk": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}


def painted(browser, address: str, size: str, example: int = 1, **options):
    """Return a page that shows an example with its mask."""
    page = browser.new_context(viewport=SIZES[size], **options).new_page()
    page.goto(address)
    page.wait_for_selector(".welcome")
    page.locator(".example").nth(example).click()
    page.wait_for_selector(".editor[data-mode=paint]")
    return page


def run(page, until: str = "result") -> None:
    page.locator("#run").click()
    if until == "result":
        page.wait_for_selector(".editor[data-mode=result]", timeout=120_000)
    else:
        page.wait_for_function(
            "(({ previews, mode }) => previews > 2 || mode === 'result')(document.querySelector('.editor').dataset)",
            timeout=120_000,
        )


def shoot(browser, address: str, folder: Path) -> None:
    page = painted(browser, address, "desk")
    page.screenshot(path=folder / "paint.png")
    run(page, until="preview")
    page.screenshot(path=folder / "watch.png")
    page.wait_for_selector(".editor[data-mode=result]", timeout=120_000)
    page.screenshot(path=folder / "result.png")
    page.locator("#prompt textarea").fill("penguin")  # without a prompt the built-in model runs no step
    run(page)
    page.get_by_role("tab", name="How it works").click()
    page.wait_for_selector(".figures img")
    page.screenshot(path=folder / "learn.png")
    page = painted(browser, address, "desk", 0, color_scheme="dark")
    run(page)
    page.screenshot(path=folder / "dark.png")
    page = painted(browser, address, "phone", 3, device_scale_factor=2, has_touch=True)
    page.screenshot(path=folder / "phone.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="builtin")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "--port", str(port), "--model", asked.model], stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        with chromium() as browser:
            shoot(browser, f"http://127.0.0.1:{port}", asked.folder)
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
