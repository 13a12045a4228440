"""Make any number of cases, each from its seed: `case(seed)` is the same on every machine.

A case that failed is repeated alone by `python -m bench.hostile --only SEED`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from tests.robustness.hostile import oddities, values

KINDS = {
    "number": 20,
    "text": 10,
    "damage": 18,
    "oddity": 8,
    "mask": 12,
    "mixture": 12,
    "record": 10,
    "words": 3,
    "weights": 7,
}  # how many of a hundred


@dataclass
class Case:
    """The input: a picture, a mask and settings, or for weights only a `file`."""

    seed: int
    kind: str
    what: str = ""
    picture: Any = None
    mask: Any = None
    settings: dict[str, Any] = field(default_factory=dict)
    file: bytes | None = None
    suffix: str = ".png"
    must: Any = ()  # as Oddity.size

    @property
    def patience(self) -> int:
        """Return how many times the usual time it may take: sizes beyond 1024 pixels are slow for good reasons."""
        asked = [self.settings.get(name) for name in ("size", "width", "height")]
        return 4 if any(isinstance(n, (int, float)) and 1024 < n <= 2048 for n in asked) else 1

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.kind}, {self.what[:90]}"


def case(seed: int, kind: str = "", only_json: bool = False) -> Case:
    """Return the case of this seed.  `only_json`: only what JSON and files can hold."""
    rng = random.Random(seed)
    kind = kind or rng.choices(list(KINDS), list(KINDS.values()))[0]
    made = Case(seed, kind, picture=sound_picture(), mask=sound_mask(), settings=values.cheap({}))
    MAKERS[kind](made, rng, only_json)
    return made


@cache
def sound_picture() -> bytes:
    return oddities.saved(oddities.noise())


@cache
def sound_mask() -> bytes:
    mask = Image.new("L", (oddities.W, oddities.H))
    mask.paste(255, (4, 4, 12, 10))
    return oddities.saved(mask)


@cache
def _file(name: str) -> oddities.Oddity:
    return oddities.oddity(name)


def _number(made: Case, rng: random.Random, only_json: bool) -> None:
    name, value = values.setting(rng, only_json)
    made.settings[name] = value
    made.what = f"{name} = {_short(value)}"


def _text(made: Case, rng: random.Random, only_json: bool) -> None:
    name, text = rng.choice(("prompt", "negative_prompt", "quality", "expand", "sampler", "finish")), _words(rng)
    made.settings[name] = text
    made.what = f"{name} = {_short(text)}"


def _words(rng: random.Random) -> str:
    """A known nuisance, two of them, or characters from all of Unicode."""
    if rng.random() < 0.5:
        return rng.choice(values.TEXTS) + rng.choice(("", *values.TEXTS[:12]))
    return "".join(
        chr(rng.randrange(rng.choice((32, 128, 0x3000, 0x110000)))) for _ in range(rng.choice((1, 9, 700)))
    )


def _damage(made: Case, rng: random.Random, only_json: bool) -> None:
    """A file that was whole, with bytes flipped, cut, doubled or put in."""
    name = rng.choice(oddities.opening() if rng.random() < 0.8 else oddities.names())
    found = _file(name)
    broken = damaged(found.data, rng)
    made.what, made.suffix = f"damaged {name}", found.suffix
    if rng.random() < 0.75:
        made.picture = broken
    else:
        made.mask = broken


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one to eight wounds, many of them near the start, where sizes and offsets are."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(min(len(data), rng.choice((64, 1000, 10**9, 10**9))) or 1)
        how = rng.randrange(5)
        if how == 0:
            end = len(data) if rng.random() < 0.3 else at + 4
            del data[at:end]
        elif how == 1:
            data[at:at] = rng.randbytes(rng.choice((1, 4, 300)))
        elif how == 2:
            data[at : at + 4] = rng.choice(
                (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f")
            )
        elif how == 3:
            data[at:at] = data[at : at + 50]
        elif data:
            data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
    return bytes(data)


def _oddity(made: Case, rng: random.Random, only_json: bool) -> None:
    name = rng.choice(oddities.names())
    found = _file(name)
    made.what, made.picture, made.suffix, made.must = name, found.data, found.suffix, found.size


def _mask(made: Case, rng: random.Random, only_json: bool) -> None:
    size = rng.choice(((24, 16), (16, 24), (1, 1), (240, 160), (3000, 1), (23, 17)))
    array = np.random.default_rng(made.seed).random((size[1], size[0]), np.float32)
    forms = {
        "levels": lambda: (array * 255).astype(np.uint8),
        "bits": lambda: array > 0.9,
        "specks": lambda: (array > 0.97).astype(np.uint8) * 255,
        "black": lambda: np.zeros(size[::-1], np.uint8),
        "faint": lambda: (array * 3).astype(np.uint8),
        "white": lambda: np.full(size[::-1], 255, np.uint8),
        "NaN": lambda: np.where(array > 0.5, np.nan, array),
        "inf": lambda: np.where(array > 0.5, np.inf, array),
        "large": lambda: array * 1e30,
        "negative": lambda: array - 0.5,
        "int64": lambda: (array * 2**62).astype("i8"),
        "complex": lambda: array * 1j,
        "words": lambda: array.astype(str),
        "objects": lambda: array.astype(object),
        "five axes": lambda: array[None, None, None],
        "no axis": lambda: array[0, 0],
        "empty": lambda: array[:0],
        "half": lambda: array.astype(np.float16),
        "big-endian": lambda: (array * 255).astype(">u2"),
        "upside down": lambda: (array > 0.5)[::-1],
        "seven colours": lambda: np.repeat(array[..., None], 7, 2),
    }
    name = rng.choice(list(forms)[:6] if only_json else [*forms])
    made.what, value = f"{name} {size[0]} × {size[1]}", forms[name]()
    made.mask = oddities.saved(Image.fromarray(value)) if only_json else value
    made.settings |= {
        k: rng.choice((True, False)) for k in ("invert", "soft", "fill_holes", "islands") if rng.random() < 0.3
    }
    made.settings |= {"grow": rng.choice((-256, -1, 0, 3, 256)), "feather": rng.choice((0, 9, 256))}


def _mixture(made: Case, rng: random.Random, only_json: bool) -> None:
    """Settings that are all allowed, together, on a picture of any sound kind."""
    sound = [name for name in oddities.names()[:60] if "65500" not in name]
    name = rng.choice(sound)
    found = _file(name)
    made.picture, made.suffix, made.settings = found.data, found.suffix, values.valid(rng)
    made.mask = rng.choice((made.mask, made.mask, made.mask, None))
    made.what = f"{name} with {', '.join(f'{k}={_short(v)}' for k, v in made.settings.items())}"


def _short(value: Any) -> str:
    try:
        text = ascii(value)
    except ValueError:
        text = "a number of thousands of digits"
    return text if len(text) <= 40 else text[:37] + "…"


def _elsewhere(kind: str):
    def make(made: Case, rng: random.Random, only_json: bool) -> None:
        from tests.robustness.hostile import files

        made.file, made.what = getattr(files, kind)(rng)

    return make


MAKERS = {
    "number": _number,
    "text": _text,
    "damage": _damage,
    "oddity": _oddity,
    "mask": _mask,
    "mixture": _mixture,
    **{kind: _elsewhere(kind) for kind in ("record", "words", "weights")},
}
