"""Measure the time that a run takes outside its networks, and that of previews, of a second run, and of loading.

    python -m bench.overhead rest|previews|again|load|all [--model builtin] [--steps 20] [--runs 5] [--clock cpu]

Timers around the model's four calls (embed, encode, unet, decode) measure the networks; the rest is everything else
in a run, from the request to the finished picture.  `--clock cpu` counts this process's CPU seconds instead of wall-
clock time, for a machine that does other work as well (use it with one thread).
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path

from PIL import Image, ImageDraw

import inpaint
from inpaint.pipeline import timing

from .record import Rows, arguments, machine, middle, table

EXAMPLES = Path(__file__).resolve().parent.parent / "assets" / "examples"
CALLS = ("embed", "encode", "unet", "decode")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Watch:
    """Time and count the calls of a model's functions while they are wrapped."""

    def __init__(self, model, clock: Callable[[], float]):
        self.model, self.clock = model, clock
        self.reset()

    def reset(self) -> None:
        self.seconds, self.calls = dict.fromkeys(CALLS, 0.0), dict.fromkeys(CALLS, 0)

    def timed(self, call: str, run: Callable) -> Callable:
        def timed(*args, **kwargs):
            began = self.clock()
            try:
                return run(*args, **kwargs)
            finally:
                self.seconds[call] += self.clock() - began
                self.calls[call] += 1

        return timed

    @contextmanager
    def __call__(self):
        """Wrap the model's functions inside the block."""
        model, unet = self.model, self.model.unet
        for call in ("embed", "encode", "decode"):
            setattr(model, call, self.timed(call, getattr(model, call)))
        model.unet = lambda *args, **kwargs: self.timed("unet", unet(*args, **kwargs))
        try:
            yield self
        finally:
            for call in CALLS:
                delattr(model, call)  # the class's own functions are used again


def photo(width: int, height: int, box: tuple[int, int, int, int]) -> tuple[Image.Image, Image.Image]:
    """Return a photo of this size, and a mask with a disc in the box."""
    picture = Image.open(EXAMPLES / "stones.jpg").convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).ellipse((box[0], box[1], box[2] - 1, box[3] - 1), fill=255)
    return picture, mask


CASES = {  # {name: (picture's width, height, the hole's box, further settings)}
    "256 px hole, 1024×768, inpaint": (1024, 768, (300, 200, 556, 456), {"method": "inpaint"}),
    "256 px hole, 1024×768, base": (1024, 768, (300, 200, 556, 456), {"method": "base"}),
    "128 px hole, 1024×768": (1024, 768, (300, 200, 428, 328), {}),
    "512 px hole, 1024×768": (1024, 768, (300, 120, 812, 632), {}),
    "1024 px hole, 1536×1200": (1536, 1200, (200, 80, 1224, 1104), {}),
    "256 px hole, 4000×3000": (4000, 3000, (1300, 1200, 1556, 1456), {}),
    "four variations, 256 px": (1024, 768, (300, 200, 556, 456), {"count": 4}),
}


def rest(given) -> str:
    """Measure the share of a run that is spent outside the networks."""
    rows, shown = Rows(given.into, "rest"), []
    for name, case in CASES.items():
        row = rows.once(f"{given.name} {given.steps} steps {name}", partial(_rest, given, *case))
        shown.append(
            [
                name,
                f"{row['run']:.2f} s",
                f"{row['networks']:.2f} s",
                f"{1e3 * row['rest']:.0f} ms",
                f"{row['rest'] / row['run']:.1%}",
                f"{1e3 * row['finish']:.0f} ms",
                f"{1e3 * (row['prepare'] + row['report']):.0f} ms",
            ]
        )
    return table(["case", "run", "in networks", "rest", "share", "of it finish", "prepare and report"], shown)


def _rest(given, width, height, box, settings) -> dict:
    picture, mask = photo(width, height, box)
    watch, found = Watch(given.painter.model, given.clock), []
    with watch():
        for seed in range(given.runs + 1):
            request = inpaint.Request(
                "pizza",
                picture,
                mask,
                seed=seed,
                steps=given.steps,
                fill="neutral" if seed % 2 else "blur",
                **settings,
            )
            watch.reset()
            given.painter.encoder.cache.clear()  # so that each run encodes its picture
            began = given.clock()
            result = given.painter(request)
            run, networks = given.clock() - began, sum(watch.seconds.values())
            stages = result.report["seconds"]
            found.append(
                {
                    "run": run,
                    "networks": networks,
                    "rest": run - networks,
                    **{stage: stages[stage] for stage in ("prepare", "finish", "report")},
                }
            )
    found.sort(key=lambda row: row["rest"] / row["run"])
    return found[len(found) // 2]


def previews(given) -> str:
    """Measure runs with a preview of 512 px at every step, and runs without, in turn."""
    picture, mask = photo(*CASES["256 px hole, 1024×768, inpaint"][:3])
    times: dict[bool, list[float]] = {False: [], True: []}
    looks = []
    for turn in range(2 * given.runs + 2):
        request = inpaint.Request("pizza", picture, mask, seed=turn // 2, steps=given.steps)
        began, looking = given.clock(), 0.0
        for event in given.painter.stream(request):
            if turn % 2 and isinstance(event, inpaint.Step):
                before = given.clock()
                event.preview(512)
                looking += given.clock() - before
        if turn > 1:
            times[bool(turn % 2)].append(given.clock() - began)
            looks += [looking] if turn % 2 else []
    without, with_them = middle(times[False]), middle(times[True])
    return table(
        ["without previews", "with one at every step", "ratio", "in previews"],
        [
            [
                f"{without:.3f} s",
                f"{with_them:.3f} s",
                f"{with_them / without:.3f}",
                f"{1e3 * middle(looks):.0f} ms, {middle(looks) / with_them:.1%}",
            ]
        ],
    )


def again(given) -> str:
    """Count the calls of each network in the first run on a picture, and in a second one with another seed."""
    shown = []
    watch = Watch(given.painter.model, given.clock)
    for method in given.painter.model.methods:
        picture, mask = photo(*CASES["256 px hole, 1024×768, inpaint"][:3])
        encoder = given.painter.model.text
        encoder.forget()
        given.painter.encoder.cache.clear()
        read: list[int] = []
        hook = encoder.encoder.register_forward_hook(lambda *_, read=read: read.append(1))
        with watch():
            for seed, name in ((1, "first run"), (2, "second run")):
                watch.reset()
                read.clear()
                given.painter(inpaint.Request("pizza", picture, mask, seed=seed, steps=2, method=method))
                shown.append(
                    [
                        f"{method}, {name}",
                        len(read),
                        watch.calls["encode"],
                        watch.calls["unet"],
                        watch.calls["decode"],
                    ]
                )
        hook.remove()
    return table(["2 steps", "text encoder", "VAE encode", "UNet", "VAE decode"], shown)


LOAD = """import time, sys
import torch, diffusers, transformers, inpaint
from diffusers import UNet2DConditionModel, AutoencoderKL
from transformers import CLIPTextModel, CLIPTokenizer
from pathlib import Path
from inpaint.models import loading, registry
inpaint.load("builtin")  # imports everything
files = loading.source(registry.card_of(sys.argv[1]).base).files()
for turn in range(int(sys.argv[2])):
    began = time.perf_counter()
    size = 0
    for file in files:
        with open(file, "rb") as opened:
            while block := opened.read(1 << 24):
                size += len(block)
    read = time.perf_counter()
    painter = inpaint.load(sys.argv[1], backend="torch")
    loaded = time.perf_counter()
    painter.model.unet(painter.model.methods[0])
    print(size, read - began, loaded - read, time.perf_counter() - loaded)
"""


def load(given) -> str:
    """Compare loading with reading the same files from the page cache, with all libraries imported."""
    shown = []
    for model in [given.model, *given.others]:
        out = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", LOAD, model, str(given.runs + 1)],
            capture_output=True,
            text=True,
            check=True,
            cwd=EXAMPLES.parent.parent,
        ).stdout
        rows = [[float(part) for part in line.split()] for line in out.splitlines()][1:]
        size, read, first, second = (middle(column) for column in zip(*rows, strict=True))
        shown.append(
            [
                Path(model).name,
                f"{size / 1e6:.0f} MB",
                f"{read:.3f} s",
                f"{first:.3f} s",
                f"{second:.3f} s",
                f"{(first + second) / read:.2f}",
            ]
        )
    return table(["model", "files", "reading them", "load", "its other UNet", "ratio"], shown)


PARTS = {"rest": rest, "previews": previews, "again": again, "load": load}


def main() -> None:
    parser = arguments(__doc__, runs=5)
    parser.add_argument("part", choices=[*PARTS, "all"], nargs="?", default="all")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--others", nargs="*", default=[], metavar="MODEL", help="more models to load, for `load`")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    given = parser.parse_args()
    given.name, given.clock_name, given.clock = Path(given.model).name, given.clock, CLOCKS[given.clock]
    timing.perf_counter = given.clock  # the report's seconds use the same clock
    given.painter = None if given.part == "load" else inpaint.load(given.model)
    print(
        f"{date.today()}, {machine()}; model {given.name}, {given.steps} steps, median of {given.runs} runs, "
        f"{given.clock_name} clock"
    )
    for name in PARTS if given.part == "all" else [given.part]:
        print(f"\n{PARTS[name].__doc__}\n\n{PARTS[name](given)}", flush=True)


if __name__ == "__main__":
    main()
