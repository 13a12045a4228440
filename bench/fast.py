"""Compare fast with exact: seconds a step at SD 1.5's size, and the change in a trained model's pictures.

    python -m bench.fast time [--steps 20] [--runs 3] [--size 512] [--method inpaint] [--into ROWS.json]
    python -m bench.fast pictures [--model builtin] [--count 24] [--steps 20] [--sheet PATH]

`time` runs whole requests on random weights with each setting in turn; `pictures` paints the same names from the same
seeds into the same holes of the example photos.  `--clock cpu` counts this process's CPU seconds, for a machine that
does other work as well (use it with one thread).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import inpaint
from inpaint.pipeline import timing

from .record import ROOT, Rows, arguments, machine, middle, table

EXAMPLES = sorted((ROOT / "assets" / "examples").glob("*.jpg"))
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
NAMES = ("pizza", "red apple", "cat face", "rocket", "sunflower", "soccer ball", "guitar", "octopus")
END = 0.8  # the share of the walk that is guided, if guidance ends early
FEWER = 0.45  # this share of exact steps takes at least as long as all steps of fast


def levers(steps: int) -> dict[str, dict]:
    """Return {name: settings}; each is compared with the first."""
    return {
        "exact": {},
        f"exact, {round(FEWER * steps)} steps": {"steps": round(FEWER * steps)},
        f"guidance ends at {END}": {"guidance_end": END},
        "fast": {"speed": "fast"},
        f"fast, guidance ends at {END}": {"speed": "fast", "guidance_end": END},
    }


def real_size(folder: str):
    """Return a painter of SD 1.5's shapes with random weights, made in another process to save memory."""
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"from pathlib import Path; from bench.sd15_size import write_model; write_model(Path({folder!r}))",
        ],
        check=True,
        cwd=ROOT,
    )
    return inpaint.load(folder, backend="torch")


def seconds(given) -> str:
    """Time whole requests at SD 1.5's size, each setting once in each turn."""
    rows, hole = Rows(given.into, "fast"), Image.new("L", (given.size, given.size))
    hole.paste(255, (given.size // 4, given.size // 4, given.size // 2, given.size // 2))
    request = partial(
        inpaint.Request,
        "a red scarf",
        Image.new("RGB", hole.size, "teal"),
        hole,
        seed=1,
        whole=True,
        size=given.size,
        method=given.method,
    )
    with tempfile.TemporaryDirectory() as folder:
        painter = real_size(folder)
        painter(request(steps=1))  # reads the weights and encodes the picture
        for turn in range(given.runs):
            for name, settings in levers(given.steps).items():
                asked = request(**{"steps": given.steps, **settings})
                rows.once(key_of(given, name, turn), lambda asked=asked: painter(asked).report["seconds"])
    shown, first = [], None
    for name in levers(given.steps):
        runs = [rows.rows[key_of(given, name, turn)] for turn in range(given.runs)]
        walk, whole = (middle(run[part] for run in runs) for part in ("denoise", "total"))
        first = first or (walk, whole)
        shown.append(
            [
                name,
                f"{walk:.1f} s",
                f"{walk / given.steps:.2f} s",
                f"{first[0] / walk:.2f}×",
                f"{whole:.1f} s",
                f"{first[1] / whole:.2f}×",
            ]
        )
    return table(["", "the walk", f"a step of {given.steps}", "faster", "whole run, encoded before", "faster"], shown)


def key_of(given, name: str, turn: int) -> str:
    return f"{given.method} {given.size} px {given.steps} steps {given.clock_name} clock: {name}, {turn}"


def cases(given) -> list[tuple[str, Image.Image, Image.Image, int]]:
    """Return (name, photo, disc, seed): the same cases at every call."""
    rng, found = np.random.default_rng(2026), []
    words = (ROOT / "assets" / "model" if given.model == "builtin" else Path(given.model)) / "words.json"
    names = json.loads(words.read_text(encoding="utf-8")) if words.is_file() else NAMES
    for seed in range(given.count):
        photo = Image.open(EXAMPLES[seed % len(EXAMPLES)]).convert("RGB")
        side = int(rng.integers(min(photo.size) // 4, min(photo.size) // 2))
        x, y = (int(rng.integers(0, length - side)) for length in photo.size)
        hole = Image.new("L", photo.size)
        ImageDraw.Draw(hole).ellipse((x, y, x + side - 1, y + side - 1), fill=255)
        found.append((str(names[int(rng.integers(len(names)))]), photo, hole, seed))
    return found


def pictures(given) -> str:
    """Measure how far each setting's picture is from the exact one inside the hole, with another seed for scale."""
    painter, all_cases, results = inpaint.load(given.model), cases(given), {}
    for name, settings in {**levers(given.steps), "exact, another seed": {"seed": 10_000}}.items():
        results[name] = [
            np.asarray(
                painter(
                    inpaint.Request(
                        prompt,
                        photo,
                        hole,
                        **{"steps": given.steps, "seed": seed, "method": given.method, **settings},
                    )
                ).image
            )
            for prompt, photo, hole, seed in all_cases
        ]
    shown = []
    for name, images in results.items():
        gaps = [
            image[np.asarray(case[2]) > 0].astype(float) - exact[np.asarray(case[2]) > 0]
            for image, exact, case in zip(images, results["exact"], all_cases, strict=True)
        ]
        if name != "exact":
            psnr = [10 * np.log10(255**2 / max(1e-3, (gap**2).mean())) for gap in gaps]
            shown.append(
                [
                    name,
                    f"{np.mean([np.abs(gap).mean() for gap in gaps]):.2f} levels",
                    f"{np.median(psnr):.1f} dB",
                    f"{min(psnr):.1f} dB",
                ]
            )
    if given.sheet:
        sheet(given.sheet, all_cases[:8], results)
    return table([f"{given.count} holes, beside exact", "mean difference", "PSNR, median", "worst"], shown)


def sheet(path: Path, shown: list, results: dict[str, list[np.ndarray]]) -> None:
    """Draw a sheet: a row for each hole, a column for each setting, cropped around the hole."""
    from training.sheet import grid

    tiles, labels = [], []
    for k, (prompt, _, hole, _) in enumerate(shown):
        left, top, right, bottom = hole.getbbox()
        rim = (right - left) // 8
        for name, images in results.items():
            height, width, _ = images[k].shape
            cut = Image.fromarray(images[k]).crop(
                (max(0, left - rim), max(0, top - rim), min(width, right + rim), min(height, bottom + rim))
            )
            tiles.append(np.asarray(cut.resize((200, 200), Image.Resampling.LANCZOS)))
            labels.append(prompt if name == "exact" else name)
    path.parent.mkdir(parents=True, exist_ok=True)
    grid(tiles, labels, len(results)).save(path)


def main() -> None:
    parser = arguments(__doc__, runs=3)
    parser.add_argument("part", choices=("time", "pictures"))
    parser.add_argument("--model", default="builtin", help="for pictures: a name or a folder")
    parser.add_argument("--method", choices=("base", "inpaint"), default="inpaint")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, default=512, help="of the picture, for time")
    parser.add_argument("--count", type=int, default=24, help="holes, for pictures")
    parser.add_argument("--sheet", type=Path, help="where pictures writes the first eight side by side")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    given: argparse.Namespace = parser.parse_args()
    given.clock_name, given.clock = given.clock, CLOCKS[given.clock]
    timing.perf_counter = given.clock  # the report's seconds use the same clock
    subject = f"model {Path(given.model).name}"
    if given.part == "time":
        subject = (
            f"SD 1.5's size, random weights, {given.size} × {given.size}, {given.clock_name} clock, median of "
            f"{given.runs} runs"
        )
    result = seconds(given) if given.part == "time" else pictures(given)
    print(
        f"{date.today()}, {machine()}; {given.method} method, {given.steps} steps, guidance on, {subject}\n\n{result}"
    )


if __name__ == "__main__":
    main()
