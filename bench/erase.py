"""Compare filling by this program with OpenCV and the PatchMatch library, on holes whose original is known.

    python -m bench.erase quality|speed|sheet [--photos FOLDER] [--count 40] [--out SHEET.jpg]

`quality` makes seeded holes (ellipses, strokes, boxes of 60 to 300 px) and compares each method's fill with the
original; `speed` times holes of several sizes on noise; `sheet` draws the README's pairs, before and after.  Needs
`pip install opencv-python-headless`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image, ImageDraw

import inpaint

from .record import ROOT, machine

SEED = 17
EXAMPLES = ROOT / "assets" / "examples"
# an example, with its own mask or with ellipses in shares of its sides
SHEET: tuple[tuple[str, tuple[tuple[float, ...], ...]], ...] = (
    ("wren", ()),
    ("sign", ()),
    ("hikers", ()),
    ("stones", ()),
    ("stones", ((0.03, 0.2, 0.22, 0.42),)),
    ("hikers", ((0.33, 0.42, 0.5, 0.62),)),
)
SMALL, LARGE = 60, 300  # pixels, of a hole's mean side
SURROUND = 1.0  # of a hole's longer side: how much around it the library gets
GOALS = (
    "PSNR ≥ Telea + 2.5 dB and ≥ PatchMatch; gradients ≤ 0.25 × Telea; colour ≤ 0.55 × Telea; texture 0.85 to 1.15"
)


def holes(photos: list[Path], count: int) -> Iterator[tuple[Image.Image, Image.Image]]:
    """Yield (photo, mask): an ellipse, a stroke or a box at a random place."""
    rng = np.random.default_rng(SEED)
    for k in range(count):
        photo = Image.open(photos[k % len(photos)]).convert("RGB")
        mask = Image.new("L", photo.size)
        draw, side = ImageDraw.Draw(mask), rng.uniform(SMALL, LARGE)
        w, h = (int(side * rng.uniform(0.7, 1.3)) for _ in range(2))
        x, y = (int(rng.uniform(0.05 * n, 0.95 * n - m)) for n, m in ((photo.width, w), (photo.height, h)))
        if k % 3 == 0:
            draw.ellipse((x, y, x + w, y + h), fill=255)
        elif k % 3 == 1:
            points = [(x + rng.uniform(0, w), y + rng.uniform(0, h)) for _ in range(4)]
            width = int(rng.uniform(14, 40))
            draw.line(points, fill=255, width=width, joint="curve")
            for a, b in points:
                draw.ellipse((a - width / 2, b - width / 2, a + width / 2, b + width / 2), fill=255)
        else:
            draw.rectangle((x, y, x + w, y + h), fill=255)
        yield photo, mask


def ways() -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """Return the methods by name: (uint8 RGB, bool hole) -> uint8 RGB."""
    import cv2
    import patchmatch

    painter = inpaint.load("builtin")

    def ours(rgb: np.ndarray, hole: np.ndarray) -> np.ndarray:
        mask = Image.fromarray(hole.astype(np.uint8) * 255)
        return np.asarray(painter(inpaint.Request(picture=rgb, mask=mask, task="remove", grow=0, seed=0)).image)

    def library(rgb: np.ndarray, hole: np.ndarray) -> np.ndarray:
        part, filled = around(hole), rgb.copy()
        patchmatch.set_random_seed(0)
        filled[part] = patchmatch.inpaint(np.ascontiguousarray(rgb[part]), hole[part], patch_size=5)
        return filled

    def opencv(kind: int):
        return lambda rgb, hole: cv2.inpaint(rgb, hole.astype(np.uint8), 5, kind)

    return {
        "Telea": opencv(cv2.INPAINT_TELEA),
        "Navier–Stokes": opencv(cv2.INPAINT_NS),
        "PatchMatch": library,
        "ours": ours,
    }


def around(hole: np.ndarray) -> tuple[slice, slice]:
    """Return the part of the picture with the hole and its surround."""
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    reach = int(SURROUND * max(np.ptp(rows), np.ptp(columns))) + 32
    return (
        slice(max(0, int(rows[0]) - reach), int(rows[-1]) + reach),
        slice(max(0, int(columns[0]) - reach), int(columns[-1]) + reach),
    )


def compared(picture: np.ndarray, truth: np.ndarray, hole: np.ndarray) -> tuple[float, float, float, float]:
    """Return, inside the hole: PSNR in dB, gradient histograms' distance 0-2, texture ratio, mean colour error."""
    a, b = picture[hole].astype(float), truth[hole].astype(float)
    psnr = 10 * np.log10(255**2 / max(1e-3, ((a - b) ** 2).mean()))
    new, true = (np.hypot(*np.gradient(image.astype(float).mean(2)))[hole] for image in (picture, truth))
    counts = [np.histogram(np.minimum(g, 63.9), bins=32, range=(0, 64))[0] / hole.sum() for g in (new, true)]
    colour = np.abs(a.mean(0) - b.mean(0)).mean()
    return psnr, np.abs(counts[0] - counts[1]).sum(), new.mean() / max(true.mean(), 1e-3), colour


def quality(photos: list[Path], count: int) -> None:
    """Print the table of all ways, each on the same holes in turn."""
    found = ways()
    rows: dict[str, list] = {name: [] for name in found}
    for photo, mask in holes(photos, count):
        truth, hole = np.asarray(photo), np.asarray(mask) > 0
        hidden = truth.copy()
        hidden[hole] = 0
        for name, fill in found.items():
            began = perf_counter()
            filled = fill(hidden, hole)
            seconds = perf_counter() - began
            assert np.array_equal(filled[~hole], truth[~hole]) or name != "ours"
            rows[name].append((*compared(filled, truth, hole), seconds))
    print(f"\n{date.today()}, {machine()}; {count} holes in {len(photos)} photos\n\nGoals: {GOALS}\n")
    print("| filled by | PSNR | gradients' distance | texture ratio | colour error | seconds a hole |")
    print("|---|---|---|---|---|---|")
    for name, values in rows.items():
        psnr, gradients, texture, colour, seconds = np.mean(values, axis=0)
        print(f"| {name} | {psnr:.2f} dB | {gradients:.3f} | {texture:.2f} | {colour:.2f} levels | {seconds:.2f} |")


def speed() -> None:
    """Print the seconds to the first picture of a fill and to the last, medians of three."""
    painter, rng = inpaint.load("builtin"), np.random.default_rng(SEED)
    coarse = rng.integers(0, 256, (75, 100, 3), np.uint8)
    large = Image.fromarray(coarse).resize((4000, 3000), Image.Resampling.BICUBIC)
    large = Image.fromarray((np.asarray(large) + rng.integers(-8, 9, (3000, 4000, 1))).clip(0, 255).astype(np.uint8))
    print(f"\n{date.today()}, {machine()}\n\n| hole | first picture | result | goal |\n|---|---|---|---|")
    for words, photo, sides, goal in (
        ("200 px in 1.5 MP", large.crop((0, 0, 1536, 1024)), [200], "< 1 s, first < 0.4 s"),
        ("300 px in 12 MP", large, [300], "< 2.5 s"),
        ("600 px in 12 MP", large, [600], "< 6 s"),
        ("300 specks in 12 MP", large, [8] * 300, "< 3 s"),
    ):
        mask = Image.new("L", photo.size)
        for side in sides:
            x, y = (
                int(rng.uniform(0.3, 0.6) * n) if side > 100 else int(rng.uniform(20, n - 40)) for n in photo.size
            )
            ImageDraw.Draw(mask).ellipse((x, y, x + side, y + side), fill=255)
        request = inpaint.Request(picture=photo, mask=mask, task="remove", grow=0, seed=1)
        times = [timed(painter, request) for _ in range(4)][1:]
        first, last = np.median(times, axis=0)
        print(f"| {words} | {first:.2f} s | {last:.2f} s | {goal} |")


def timed(painter: inpaint.Inpainter, request: inpaint.Request) -> tuple[float, float]:
    """Return the seconds to the first picture that differs from the photo, and to the result."""
    began, first = perf_counter(), None
    for event in painter.stream(request, fills=True):
        if isinstance(event, inpaint.Filled) and first is None and event.image is not request.picture.rgb:
            first = perf_counter() - began
    return first or perf_counter() - began, perf_counter() - began


def sheet(out: Path) -> None:
    """Draw the example photos, each with a hole and without what was there, cut to where it happens."""
    painter, pairs = inpaint.load("builtin"), []
    for name, boxes in SHEET:
        with Image.open(EXAMPLES / f"{name}.jpg") as file, Image.open(EXAMPLES / f"{name}-mask.png") as given:
            photo, mask = file.convert("RGB"), given.convert("L").resize(file.size)
        if boxes:
            mask = Image.new("L", photo.size)
            for box in boxes:
                corners = [round(n * side) for n, side in zip(box, photo.size * 2, strict=True)]
                ImageDraw.Draw(mask).ellipse(corners, fill=255)
        result = painter(inpaint.Request(picture=photo, mask=mask, task="remove", seed=0)).image.convert("RGB")
        photo.paste((225, 29, 72), mask=mask.point(lambda level: level * 6 // 10))
        left, top, right, bottom = mask.getbbox()
        side = min(*photo.size, 2 * max(right - left, bottom - top))
        x = min(max(0, (left + right - side) // 2), photo.width - side)
        y = min(max(0, (top + bottom - side) // 2), photo.height - side)
        pairs.append([image.crop((x, y, x + side, y + side)).resize((240, 240)) for image in (photo, result)])
    page = Image.new("RGB", (len(pairs) * 246 - 6, 486), "white")
    for k, (before, after) in enumerate(pairs):
        page.paste(before, (k * 246, 0))
        page.paste(after, (k * 246, 246))
    page.save(out, quality=86)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("quality", "speed", "sheet"))
    parser.add_argument("--photos", type=Path, default=EXAMPLES)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path("erased.jpg"))
    given = parser.parse_args()
    photos = sorted(given.photos.glob("*.jpg"))
    if given.what == "quality":
        quality(photos, given.count)
    elif given.what == "speed":
        speed()
    else:
        sheet(given.out)


if __name__ == "__main__":
    main()
