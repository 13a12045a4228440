"""Measure how time and memory grow with hole, picture, steps and count; plot the curves with Pillow.

    python -m bench.curves [hole picture steps count …] [--model builtin] [--runs 3] [--into bench/curves.json]

A close-up of any hole is scaled to the model's own size, so a run takes the same time for all holes.  `--native` sets
the request's size to the close-up's own pixels, at most 512; then time grows with the hole's area.  Each point is
measured in its own process; its memory is the peak during the run beyond the memory after loading.
"""

from __future__ import annotations

import json
from datetime import date
from functools import partial
from pathlib import Path

from PIL import Image, ImageDraw

from .record import ROOT, Rows, alone, arguments, machine, middle, table

PLOTS = ROOT / "bench" / "plots"
MOST = 512  # px, the working size with --native
AXES = {  # name: unit, values, value -> (picture's side, hole's side, steps, count)
    "hole": ("px across", (64, 128, 192, 256, 384, 512), lambda n: (1024, n, 10, 1)),
    "picture": ("megapixels", (0.25, 1, 4, 12, 24), lambda n: (round((n * 1e6) ** 0.5), 200, 10, 1)),
    "steps": ("steps", (5, 10, 20, 40), lambda n: (1024, 200, n, 1)),
    "count": ("variations", (1, 2, 4, 8), lambda n: (1024, 200, 10, n)),
}


def point(model: str, side: int, hole: int, steps: int, count: int, runs: int, native: bool) -> dict:
    """Return the median seconds, the peak memory beyond the loaded model, and the working size, in this process."""
    import time

    import inpaint

    from .memory import peak
    from .overhead import photo

    painter = inpaint.load(model)
    start = (side - hole) // 2
    picture, mask = photo(side, side, (start, start, start + hole, start + hole))
    size = int(min(MOST, max(64, -(-(max(1.5 * hole, hole + 64)) // 8) * 8))) if native else None
    painter(inpaint.Request("", picture.resize((64, 64)), mask.resize((64, 64)), steps=1, size=64))
    loaded, seconds = peak(), []
    for seed in range(runs):
        request = inpaint.Request("pizza", picture, mask, seed=seed, steps=steps, count=count, size=size)
        painter.encoder.cache.clear()
        began = time.perf_counter()
        report = painter(request).report
        seconds.append(time.perf_counter() - began)
    return {"seconds": middle(seconds), "more": peak() - loaded, "size": report["crops"][0]["size"]}


def apart(given, side: int, hole: int, steps: int, count: int) -> dict:
    """Measure a point in its own process."""
    return alone(
        "curves",
        "--model",
        given.model,
        "--runs",
        given.runs,
        "--point",
        side,
        hole,
        steps,
        count,
        *["--native"] * given.native,
    )


def plot(title: str, unit: str, points: list[tuple[float, float]], quantity: str) -> Image.Image:
    """Draw a line through points (x, y) over axes that begin at 0."""
    wide, high, left, low = 460, 280, 58, 40
    image = Image.new("RGB", (wide, high), "white")
    draw = ImageDraw.Draw(image)
    most = max(x for x, _ in points), 1.15 * max(max(y for _, y in points), 1e-9)

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x / most[0] * (wide - left - 20), high - low - y / most[1] * (high - low - 34)

    draw.line([at(0, most[1]), at(0, 0), at(most[0], 0)], fill="#888")
    for k in range(1, 5):
        x, y = most[0] * k / 4, most[1] * k / 4
        draw.text((at(x, 0)[0], high - low + 6), f"{x:.3g}", fill="#555", anchor="ma")
        draw.text((left - 6, at(0, y)[1]), f"{y:.3g}", fill="#555", anchor="rm")
        draw.line([at(0, y), at(most[0], y)], fill="#eee")
    draw.line([at(*point) for point in points], fill="#e11d48", width=2)
    for point in points:
        x, y = at(*point)
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill="#e11d48")
    draw.text((left, 8), f"{title}: {quantity}", fill="#111")
    draw.text((wide - 20, high - 18), unit, fill="#555", anchor="ra")
    return image


def main() -> None:
    parser = arguments(__doc__, runs=3)
    parser.add_argument("axes", nargs="*", metavar="AXIS", help=", ".join(AXES))
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--native", action="store_true")
    parser.add_argument(
        "--point",
        nargs=4,
        type=int,
        metavar=("SIDE", "HOLE", "STEPS", "COUNT"),
        help="measure only this point, in this process, and print JSON",
    )
    given = parser.parse_args()
    if unknown := {*given.axes} - {*AXES}:
        parser.error(f"no axis {', '.join(sorted(unknown))}")
    if given.point:
        print(json.dumps(point(given.model, *given.point, given.runs, given.native)))
        return
    print(
        f"{date.today()}, {machine()}; model {given.model}, median of {given.runs} runs, hole of 200 px in "
        f"1024×1024, 10 steps where not said{', native detail' * given.native}",
        flush=True,
    )
    PLOTS.mkdir(parents=True, exist_ok=True)
    for name in given.axes or AXES:
        curve(given, name)


def curve(given, name: str) -> None:
    """Measure one axis; print its table and save its two plots."""
    unit, values, job = AXES[name]
    kind = f"{name}{'-native' * given.native}"
    rows = Rows(given.into, f"curves {Path(given.model).name} {kind}")
    found = [(value, rows.once(str(value), partial(apart, given, *job(value)))) for value in values]
    lines = [
        [value, f"{row['seconds']:.2f}", f"{row['more'] / 1e6:.0f} MB", "×".join(map(str, row["size"]))]
        for value, row in found
    ]
    print("\n" + table([unit, "seconds", "memory beside the loaded model", "working size"], lines), flush=True)
    for quantity, key, scale in (("seconds", "seconds", 1), ("MB", "more", 1e-6)):
        image = plot(
            f"{name}{', native detail' * given.native}",
            unit,
            [(value, row[key] * scale) for value, row in found],
            quantity,
        )
        image.save(PLOTS / f"{kind}-{'time' if key == 'seconds' else 'memory'}.png", optimize=True)


if __name__ == "__main__":
    main()
