"""Make absurd values for numbers, switches, choices and texts of a request."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import numpy as np

from inpaint.options import kind_of
from inpaint.request import options

NUMBERS = (
    float("inf"),
    float("-inf"),
    float("nan"),
    1e308,
    -1e308,
    5e-324,
    -0.0,
    2**31,
    2**32,
    2**63,
    2**64,
    -(2**63),
    10**400,
    -(10**5000),
    0,
    -1,
    0.5,
    1.0000001,
    True,
    False,
    None,
    "",
    "7",
    "NaN",
    "\uff11\uff12",
    [],
    [7],
    {},
    {"a": 1},
    "1e999",
    "0x10",
    " 7 ",
    "7\0",
)
OBJECTS = (
    b"7",
    1j,
    object(),
    Decimal("7"),
    Decimal("sNaN"),
    np.float32("nan"),
    np.int64(7),
    np.array(7),
    np.array([1, 2]),
    np.bool_(True),
    range(3),
    lambda: 7,
    Exception,
    float,
)  # only Python can give these
TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "\x1b[31mred\x1b[0m",
    "\r\n" * 500,
    "\t\v\f\x85\u2028\u2029",
    "\ud800",
    "\udfff\ud800",
    "a cat \U0001f408\u200d\u2b1b",
    "👩‍👩‍👧‍👦" * 200,
    "\u202eתפוח أحمر",
    "Z̴̡͠a̷lgo" * 50,
    "\ufeff\ufffe\uffff",
    "ﬁ\u00ad\u200b" * 99,
    "<script>alert(1)</script>",
    "'; DROP TABLE x;--",
    "{{7*7}}${7*7}%s%n%x",
    "../../etc/passwd",
    "C:\\con\\nul",
    "((((((" * 300,
    "[" * 2000,
    "(cat:1e999)",
    "(cat:nan)(dog:-inf)",
    "(a:" * 900,
    "a" * 100_000,
    "é" * 100_000,
    "word " * 20_000,
    "<|endoftext|>" * 60,
    "AND BREAK \\( \\) \\\\",
    "Negative prompt: x\nSteps: 20, Seed: 1",
    "x" * 4000,
    "(x:1.1)" * 550,
)


def wild(rng: random.Random, only_json: bool = False) -> Any:
    """Any of them."""
    return rng.choice(NUMBERS + TEXTS + (() if only_json else OBJECTS))


def setting(rng: random.Random, only_json: bool = False) -> tuple[str, Any]:
    """A field of the request, and a value for it: a limit, one just beyond it, or something wild."""
    name = rng.choice(list(options()))
    field = options()[name]
    meta, kind = field.metadata, kind_of(field)
    if kind is str and not meta["choices"] and rng.random() < 0.7:
        return name, rng.choice(TEXTS)
    if meta["low"] is not None and rng.random() < 0.5:
        low, high = meta["low"], meta["high"]
        value = rng.choice((low, high, low - 1, high + 1, rng.uniform(low, high), kind(rng.uniform(low, high))))
        return name, value
    return name, wild(rng, only_json)


def valid(rng: random.Random, light: bool = True) -> dict[str, Any]:
    """Some settings that are all within their limits; `light` ones cost milliseconds."""
    found: dict[str, Any] = {}
    for name, field in rng.sample(list(options().items()), rng.randint(0, 8)):
        meta, kind = field.metadata, kind_of(field)
        if kind is bool:
            found[name] = rng.random() < 0.5
        elif meta["choices"]:
            found[name] = rng.choice(meta["choices"])
        elif meta["low"] is not None:
            found[name] = kind(rng.choice((meta["low"], meta["high"], rng.uniform(meta["low"], meta["high"]))))
        elif kind is int:
            found[name] = rng.randrange(-(2**40), 2**40)
        elif name == "expand":
            found[name] = rng.choice(
                ("3,0,9,1", "0,0,0,0", "1:1", "16:9", "1:99", "0:1", "9999,9999,9999,9999", "4,4")
            )
        else:
            found[name] = rng.choice(TEXTS)
    return found | (cheap(found) if light else {})


def cheap(settings: dict[str, Any]) -> dict[str, Any]:
    """What keeps these settings from being slow for the right reasons."""
    size = dict.fromkeys(("size", "width", "height"), 64)
    return {"steps": 1 if settings.get("steps") != 2 else 2, "count": 1, **size}
