"""Draw the README's film strip: an example with its hole, previews of some steps, and the finished picture.

python -m bench.strip OUT.png [--example wren] [--prompt penguin] [--seed 7] [--model builtin]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw

import inpaint

EXAMPLES = Path(__file__).resolve().parent.parent / "assets" / "examples"
SHOWN = (0, 2, 5, 9)  # of 20 steps
HIGH = 210  # px
GAP = 6


def tiles(example: str, prompt: str, seed: int, model: str) -> list[tuple[Image.Image, str]]:
    """Return (picture, caption) from the painted photo to the result."""
    photo, mask = EXAMPLES / f"{example}.jpg", EXAMPLES / f"{example}-mask.png"
    request = inpaint.Request(prompt, photo, mask, seed=seed, steps=20)
    *steps, result = inpaint.load(model).stream(request)
    painted = request.picture.rgb.copy()
    painted.paste((225, 29, 72), mask=request.mask.point(lambda v: v * 6 // 10))
    found = [(painted, f"“{prompt}”")]
    found += [(steps[k].preview(), f"step {k + 1}") for k in SHOWN]
    return [*found, (result.image, "done")]


def cut(picture: Image.Image, box: tuple[float, ...]) -> Image.Image:
    """Return the part of a picture inside a box of fractions of its sides, `HIGH` pixels high."""
    w, h = picture.size
    piece = picture.crop((round(box[0] * w), round(box[1] * h), round(box[2] * w), round(box[3] * h)))
    return piece.resize((round(piece.width * HIGH / piece.height), HIGH), Image.Resampling.LANCZOS)


def around(mask: Path) -> tuple[float, ...]:
    """Return a square around the hole, twice its size, in fractions of the picture's sides."""
    with Image.open(mask) as image:
        (w, h), (left, top, right, bottom) = image.size, image.convert("L").getbbox()
    side = min(w, h, 2 * max(right - left, bottom - top))
    x, y = ((a + b - side) / 2 for a, b in ((left, right), (top, bottom)))
    x, y = min(max(0, x), w - side), min(max(0, y), h - side)
    return x / w, y / h, (x + side) / w, (y + side) / h


def strip(found: list[tuple[Image.Image, str]], box: tuple[float, ...]) -> Image.Image:
    """Draw the tiles in a row, each with its caption."""
    cuts = [cut(picture, box) for picture, _ in found]
    page = Image.new("RGB", (sum(tile.width + GAP for tile in cuts) - GAP, HIGH), "white")
    draw, x = ImageDraw.Draw(page), 0
    for tile, (_, words) in zip(cuts, found, strict=True):
        page.paste(tile, (x, 0))
        draw.text((x + 8, 6), words, fill="white", stroke_width=2, stroke_fill="black", font_size=16)
        x += tile.width + GAP
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    for name, default in (("example", "wren"), ("prompt", "penguin"), ("model", "builtin")):
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    found = tiles(given.example, given.prompt, given.seed, given.model)
    strip(found, around(EXAMPLES / f"{given.example}-mask.png")).save(given.out, quality=90)


if __name__ == "__main__":
    main()
