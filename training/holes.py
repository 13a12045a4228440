"""Draw holes as people paint them, before their content is chosen."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

BOARD = 320  # px a side of the board on which shapes are drawn, before they are fitted into a frame
SHARES = {
    "box": 0.16,
    "ellipse": 0.16,
    "scribble": 0.20,
    "path": 0.16,
    "crescent": 0.09,
    "blob": 0.14,
    "thin": 0.04,
    "two": 0.05,
}
FILLS = (0.50, 0.72)  # how much of the frame a hole fills in a close-up, see inpaint/pixels/crop.py
FEW = (0.19, 0.50)  # the same for small holes, around which a close-up shows more
SMALL = 0.18  # share of small holes
CLOSED = 0.8  # share of holes without the slits that strokes of a brush leave between them
EDGE = 0.12  # share of holes that reach beyond the picture
CENTRED = 0.65  # share of the others that are near the middle; the rest are anywhere, as at a picture's edge


def hole(rng: Generator, width: int, height: int) -> np.ndarray:
    """Paint one hole, bool [height, width], of a random kind."""
    shape = Image.fromarray(drawn(rng))
    shape = shape.crop(shape.getbbox())
    fills = rng.uniform(*(FEW if rng.random() < SMALL else FILLS))
    scale = fills * min(width / shape.width, height / shape.height)
    if shape.width * shape.height * scale**2 < (0.16 * min(width, height)) ** 2:  # too thin for a thing to fit in
        shape = shape.filter(ImageFilter.MaxFilter(5))
    w, h = (max(4, round(side * scale)) for side in shape.size)
    frame = Image.new("L", (width, height))
    frame.paste(shape.resize((w, h), Image.Resampling.BILINEAR), corner(rng, (w, h), (width, height)))
    return np.asarray(frame) > 127


def corner(rng: Generator, inner: tuple[int, int], outer: tuple[int, int]) -> tuple[int, int]:
    """Choose the top left corner of a shape in a frame."""
    free = [(o - i) / 2 for o, i in zip(outer, inner, strict=True)]
    kind = rng.random()
    if kind < EDGE:  # up to a third of the shape is beyond one side
        side, beyond = int(rng.integers(2)), rng.uniform(0, 0.33)
        at = [f + rng.uniform(-1, 1) * max(0, f) for f in free]
        at[side] = -beyond * inner[side] if rng.random() < 0.5 else outer[side] - (1 - beyond) * inner[side]
    else:
        reach = [0.06 * o if kind < EDGE + CENTRED * (1 - EDGE) else f for f, o in zip(free, outer, strict=True)]
        at = [f + rng.uniform(-1, 1) * min(r, max(0, f)) for f, r in zip(free, reach, strict=True)]
    return round(at[0]), round(at[1])


def drawn(rng: Generator, kind: str | None = None) -> np.ndarray:
    """Draw one shape of a kind in SHARES on the board: uint8 [320, 320], 0 or 255."""
    kind = kind or str(rng.choice(list(SHARES), p=list(SHARES.values())))
    board = Image.new("L", (BOARD, BOARD))
    draw = ImageDraw.Draw(board)
    SHAPES[kind](rng, draw)
    if rng.random() < CLOSED:
        board = closed(board, 6)
    if rng.random() < 0.5:
        board = board.transpose(Image.Transpose.TRANSPOSE)
    return np.asarray(board)


def closed(board: Image.Image, by: int) -> Image.Image:
    """Close slits of up to 2 `by` px: dilate by squares, then erode; a box blur finds areas all 0 or all 255."""

    def full(picture: Image.Image, least: int) -> Image.Image:
        return picture.filter(ImageFilter.BoxBlur(by)).point([0] * least + [255] * (256 - least))

    return full(full(board, 1), 255)


def frame(rng: Generator) -> tuple[float, float, float, float]:
    """Return a rectangle on the board up to 1.7 times as long as wide."""
    w, h = 200.0, 200.0 / math.exp(rng.uniform(0, math.log(1.7)))
    return BOARD / 2 - w / 2, BOARD / 2 - h / 2, BOARD / 2 + w / 2, BOARD / 2 + h / 2


def box(rng: Generator, draw: ImageDraw.ImageDraw) -> None:
    draw.rectangle(frame(rng), fill=255)


def ellipse(rng: Generator, draw: ImageDraw.ImageDraw) -> None:
    draw.ellipse(frame(rng), fill=255)


def stroke(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], width: float) -> None:
    """Draw one stroke of a round brush."""
    draw.line(points, fill=255, width=round(width), joint="curve")
    for x, y in points:
        draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)


def scribble(rng: Generator, draw: ImageDraw.ImageDraw) -> None:
    """Draw a zigzag, like a brush moved to and fro until nearly everything is covered."""
    left, top, right, bottom = frame(rng)
    rows = int(rng.integers(3, 7))
    step = (bottom - top) / rows
    ends = [
        (x, top + (row + 0.5) * step)
        for row in range(rows)
        for x in ((left, right) if row % 2 == 0 else (right, left))
    ]
    wobble = rng.uniform(-0.09, 0.09, (len(ends), 2)) * (right - left)
    stroke(
        draw, [(x + dx, y + dy) for (x, y), (dx, dy) in zip(ends, wobble, strict=True)], step * rng.uniform(0.95, 1.7)
    )


def path(rng: Generator, draw: ImageDraw.ImageDraw) -> None:
    """Draw one long bent stroke of a thick brush, or a few that cross."""
    for _ in range(int(rng.choice((1, 1, 2, 3)))):
        width = rng.uniform(38, 95)
        stroke(draw, bent(rng, rng.uniform(60, 230)), width)


def thin(rng: Generator, draw: ImageDraw.ImageDraw) -> None:
    """Draw a long stroke of a fine brush."""
    stroke(draw, bent(rng, rng.uniform(150, 260)), rng.uniform(24, 42))


def bent(rng: Generator, length: float) -> list[tuple[float, float]]:
    """Return a smooth line of that length around the middle of the board."""
    angle, turn = rng.uniform(0, 2 * math.pi), rng.uniform(-1.8, 1.8)
    angles = angle + np.linspace(0, turn, 24) + rng.uniform(-0.35, 0.35) * np.sin(np.linspace(0, 6, 24))
    line = np.cumsum(np.stack([np.cos(angles), np.sin(angles)], 1), 0) * length / 24
    line += BOARD / 2 + rng.uniform(-20, 20, 2) - line.mean(0)
    return [tuple(point) for point in line]


def crescent(rng: Generator, draw: ImageDraw.ImageDraw) -> None:
    """Draw a crescent, thick in the middle and thin at its ends."""
    start, span, radius = rng.uniform(0, 2 * math.pi), rng.uniform(1.6, 4.2), rng.uniform(70, 105)
    thick = rng.uniform(38, 80)
    for t in np.linspace(0, 1, 60):
        x, y = (BOARD / 2 + radius * f(start + span * t) for f in (math.cos, math.sin))
        r = thick / 2 * math.sin(math.pi * (0.08 + 0.84 * t)) ** 0.7
        draw.ellipse((x - r, y - r, x + r, y + r), fill=255)


def blob(rng: Generator, draw: ImageDraw.ImageDraw) -> None:
    """Draw a filled outline like one drawn by a shaky hand."""
    angles = np.linspace(0, 2 * math.pi, 72, endpoint=False)
    radius = 80 + sum(rng.uniform(-1, 1) * 26 / k * np.sin(k * angles + rng.uniform(0, 6.3)) for k in range(2, 6))
    squeeze = math.exp(rng.uniform(-0.5, 0))
    draw.polygon(
        [
            (BOARD / 2 + r * math.cos(a), BOARD / 2 + squeeze * r * math.sin(a))
            for r, a in zip(radius, angles, strict=True)
        ],
        fill=255,
    )


def two(rng: Generator, draw: ImageDraw.ImageDraw) -> None:
    """Draw two dabs side by side, one often larger."""
    for x, radius in ((BOARD / 2 - 75, rng.uniform(45, 62)), (BOARD / 2 + 75, rng.uniform(28, 62))):
        y, squeeze = BOARD / 2 + rng.uniform(-40, 40), rng.uniform(0.7, 1)
        shape = draw.rectangle if rng.random() < 0.3 else draw.ellipse
        shape((x - radius, y - squeeze * radius, x + radius, y + squeeze * radius), fill=255)


SHAPES = {
    "box": box,
    "ellipse": ellipse,
    "scribble": scribble,
    "path": path,
    "crescent": crescent,
    "blob": blob,
    "thin": thin,
    "two": two,
}
