"""Act as one visitor of the soak test: do something at random, then check that the page is as it should be."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from PIL import Image

from tests.browser import hands

STUCK = 90  # seconds within which any run must end, including its wait in the queue, and any download
CORNER = 60  # pixels: the corner of a photo that is never painted; its colour shows whose photo it is
COLOUR = """selector => { const image = document.querySelector(selector);
  if (!image || image.hidden || !image.naturalWidth) return null;
  const canvas = document.createElement('canvas'); canvas.width = canvas.height = 8;
  const side = image.naturalWidth * 30 / 600, context = canvas.getContext('2d');
  context.drawImage(image, side / 3, side / 3, side, side, 0, 0, 8, 8);
  return [...context.getImageData(4, 4, 1, 1).data].slice(0, 3); }"""


class Fault(Exception):
    """Raised for something that no visitor should see."""


@contextmanager
def chromium() -> Iterator:
    """Yield a running Chromium; exit with a sentence if it is not installed."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        sys.exit("The soak needs Chromium: apt-get install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visitor:
    """A visitor with their own tab and photos; `past` lists their last actions."""

    def __init__(self, number: int, browser, address: str, rng: Random):
        self.number, self.browser, self.address, self.rng = number, browser, address, rng
        self.folder = Path(tempfile.mkdtemp(prefix="soak-"))
        self.past: deque[str] = deque(maxlen=12)
        self.context = self.page = None
        self.wrong: list[str] = []
        self.colour: tuple[int, int, int] | None = None  # of the open photo's corner
        self.since = time.monotonic()  # when the page entered its mode
        self.mode = ""

    def act(self) -> str:
        """Do one of the possible actions; return its name."""
        from playwright.sync_api import Error

        if self.page is None:
            self.come()
        mode = self.watched()  # a run may have ended, and the next begin, between two looks
        name = self.rng.choice(self.possible(mode))
        self.past.append(name)
        try:
            getattr(self, name)()
        except Error as error:
            raise Fault(f"{name} in mode {self.now()!r}: {str(error).splitlines()[0]}") from error
        return name

    def possible(self, mode: str) -> list[str]:
        """Return the actions of this mode; frequent ones are listed several times."""
        anytime = ["wait", "open", "look_around", "leave"]
        return (
            anytime
            + {
                "empty": ["open"] * 6,
                "paint": ["stroke"] * 6 + ["run"] * 6 + ["undo", "nonsense", "back", "batch", "cut_off", "reload"],
                "run": ["wait"] * 6 + ["cancel"] * 3 + ["cut_off"],
                "result": ["save"] * 3 + ["keep"] * 3 + ["discard", "scrub", "run", "film", "choose", "cut_off"],
                "stopped": ["rescue", "run", "stroke", "discard"],
            }[mode]
        )

    def come(self) -> None:
        """Open the page in a new tab."""
        self.context = self.browser.new_context(viewport={"width": 1280, "height": 860})
        self.page = page = self.context.new_page()
        page.set_default_timeout(1000 * STUCK)
        page.on("pageerror", lambda error: self.wrong.append(f"a script failed: {error}"))
        page.on("response", lambda a: self.wrong.append(f"{a.status} from {a.url}") if a.status >= 500 else None)
        self.start()

    def start(self) -> None:
        self.page.goto(self.address)
        self.page.wait_for_selector(".welcome", state="attached")
        self.colour, self.mode = None, ""

    def leave(self) -> None:
        """Close the tab, whatever is running."""
        if self.context is not None:
            self.context.close()
        self.context = self.page = None
        self.wrong.clear()

    def now(self) -> str:
        return self.page.evaluate("document.querySelector('.editor')?.dataset.mode || 'empty'")

    # the actions of a visitor

    def wait(self) -> None:
        self.page.wait_for_timeout(self.rng.randrange(1500))

    def open(self) -> None:
        """Open a new photo in this visitor's own colour, maybe during a run."""
        colour = (30 + 60 * (self.number % 4), self.rng.choice((40, 120, 200)), self.rng.choice((40, 120, 200)))
        image = Image.effect_noise((600, 400), 80).convert("RGB")
        image.paste(colour, (0, 0, CORNER, CORNER))
        image.save(self.folder / "photo.png")
        hands.open_photo(self.page, self.folder / "photo.png")
        self.colour = colour

    def stroke(self) -> None:
        x, y = self.rng.uniform(0.35, 0.6), self.rng.uniform(0.35, 0.6)
        hands.stroke(self.page, (x, y), (x + 0.1, y + 0.1))

    def undo(self) -> None:
        self.page.locator(".editor .port").focus()
        self.page.keyboard.press(self.rng.choice(("Control+z", "Control+y")))

    def run(self) -> None:
        """Press Repaint, with a prompt that makes the run quick, slow or fail."""
        self.page.locator("#count label").nth(self.rng.randrange(2)).click()
        hands.run(self.page, self.rng.choice(("", "a red scarf", "slow", "slow", "fail", "oom", "offline")))

    def cancel(self) -> None:
        with suppress(Exception):  # the run may end at this moment, which hides the button
            self.page.locator("#cancel").click(timeout=1500)

    def rescue(self) -> None:
        self.page.locator(".rescue").click(timeout=5000)

    def save(self) -> None:
        """Download the result and check that it is this visitor's own, to the pixel."""
        image, _, _ = hands.save_result(self.page, "png", self.rng.choice(("full", "settings", "none")))
        corner = {image.convert("RGB").getpixel((x, y)) for x in (1, CORNER - 2) for y in (1, CORNER - 2)}
        if self.colour and corner != {self.colour}:
            raise Fault(f"the saved result shows {corner} where the photo has {self.colour}")

    def keep(self) -> None:
        if self.rng.random() < 0.5:
            self.page.locator(".actions .tick input").check()
        self.page.locator("[data-do=keep]").click()
        hands.mode(self.page, "paint")

    def discard(self) -> None:
        with suppress(Exception):  # a stopped run without a preview has nothing to discard
            self.page.locator("[data-do=discard]").click(timeout=2000)

    def back(self) -> None:
        button = self.page.locator(self.rng.choice(("[data-do=picture_back]", "[data-do=picture_forward]")))
        if button.is_visible() and button.is_enabled():
            button.click()
            self.colour = None  # it may be another photo

    def choose(self) -> None:
        thumbs = self.page.locator(".thumb")
        if thumbs.count():
            thumbs.nth(self.rng.randrange(thumbs.count())).click()

    def scrub(self) -> None:
        film = self.page.locator(".film input")
        if film.is_visible():
            film.fill(str(self.rng.randrange(1, int(film.get_attribute("max")) + 1)))

    def film(self) -> None:
        if self.page.locator("[data-do=film_export]").is_visible():
            self.page.locator("[data-do=film_export]").click()
            hands.saved(self.page, lambda: self.page.locator("[data-do=film_webp]").click())

    def nonsense(self) -> None:
        """Enter an invalid seed, then a valid one."""
        seed = self.page.locator("#seed textarea, #seed input").first
        seed.fill(self.rng.choice(("seven", "-7", "99999999999999999999", "1e5", " ")))
        self.page.locator("#run").click()
        self.page.wait_for_timeout(500)
        seed.fill("7")

    def batch(self) -> None:
        """Run two pictures through the batch tab, maybe cancelled."""
        self.page.get_by_role("tab", name="Batch").click()
        for n in range(2):
            Image.effect_noise((120, 90), 60).convert("RGB").save(self.folder / f"b{n}.png")
        Image.new("L", (120, 90), 255).save(self.folder / "bmask.png")
        if not self.page.locator("#batch-pictures .file").count():
            files = [str(self.folder / f"b{n}.png") for n in range(2)]
            self.page.set_input_files("#batch-pictures input[type=file]", files)
            self.page.set_input_files("#batch-masks input[type=file]", str(self.folder / "bmask.png"))
            self.page.wait_for_function("document.querySelectorAll('#batch-masks .file').length === 1")
        self.page.locator("#prompt textarea").evaluate("node => node.value")
        self.page.locator("#batch-run").click()
        self.page.wait_for_timeout(self.rng.randrange(1500))
        self.page.locator("#batch-cancel").click()
        self.page.get_by_role("tab", name="Paint").click()

    def look_around(self) -> None:
        for name in ("How it works", "Paint"):
            self.page.get_by_role("tab", name=name).click()

    def cut_off(self) -> None:
        """Cut the network for a moment."""
        self.context.set_offline(True)
        self.page.wait_for_timeout(self.rng.randrange(800))
        self.context.set_offline(False)

    def reload(self) -> None:
        self.start()

    # the checks after every action

    def check(self) -> None:
        """Raise Fault if the tab hangs, has failed, or shows somebody else's picture."""
        if self.page is None:
            return
        if self.wrong:
            raise Fault(self.wrong.pop())
        mode = self.watched()
        if mode == "run" and time.monotonic() - self.since > STUCK:
            raise Fault(f"the page has been in mode run for {STUCK} seconds: {self.status()}")
        for word in ("Traceback", "something went wrong", "undefined", "[object"):
            if word in self.status():
                raise Fault(f"the page says {self.status()!r}")
        for selector in (".photo", *([".shown"] if mode == "result" else [])):
            self.check_picture(selector)

    def watched(self) -> str:
        """Return the mode, and note when a run began."""
        mode = self.now()
        if mode != self.mode or mode != "run":
            self.mode, self.since = mode, time.monotonic()
        return mode

    def status(self) -> str:
        return self.page.evaluate("document.querySelector('.status')?.textContent || ''")

    def check_picture(self, selector: str) -> None:
        """Check that the corner of a picture has this visitor's colour."""
        seen = self.page.evaluate(COLOUR, selector) if self.colour else None
        if seen and max(abs(a - b) for a, b in zip(seen, self.colour, strict=True)) > 30:
            self.page.wait_for_timeout(1000)  # it may still be loading
            seen = self.page.evaluate(COLOUR, selector)
            if seen and max(abs(a - b) for a, b in zip(seen, self.colour, strict=True)) > 30:
                raise Fault(f"{selector} shows {seen} where this visitor's photo has {self.colour}")
