"""Make bodies of HTTP requests that cannot be requests: wrong types, paths and addresses in place of uploads."""

from __future__ import annotations

from typing import Any

META = {"meta": {"_type": "gradio.FileData"}}
SETTINGS = {
    "Infinity": '{"steps": Infinity}',
    "1e999": '{"size": 1e999}',
    "NaN": '{"steps": NaN}',
    "deep list": "[" * 100_000,
    "deep object": '{"a":' * 50_000,
    "list": "[1]",
    "list of lists": "[[1]]",
    "null": "null",
    "number": "7",
    "long name": '{"%s": 1}' % ("k" * 50_000),
    "terminal codes": '{"a\\u0000\\u001b[31m\\nb": 1}',
    "picture": '{"picture": "/etc/passwd"}',
    "mask": '{"mask": "/etc/passwd"}',
    "surrogate": "\ud800",
    "no text": {"steps": [1]},
    "a list": [{"a": 1}],
    "true": True,
    "many digits": '{"steps": %s}' % ("9" * 5000),
}
FILES = {
    "a path": "/etc/passwd",
    "a path as a file": {"path": "/etc/passwd", **META},
    "an empty object": {},
    "a number": 5,
    "an address": {"path": "http://127.0.0.1:1/x.png", **META},
    "another address": {"url": "http://127.0.0.1:1/x", "path": "", **META},
    "a zero byte": {"path": "a\0b", **META},
    "a long path": {"path": "a" * 9999, **META},
    "null": None,
    "a list": [None],
    "a way out": {"path": "../../../../etc/passwd", **META},
}
MODELS = {
    "a way out": "../../etc/passwd",
    "long": "a" * 100_000,
    "a zero byte": "a\0b",
    "a surrogate": "\ud800",
    "a list": ["x"],
    "a folder": "/tmp",
    "an address": "http://127.0.0.1:1/m",
    "a number": 7.5,
}


def bodies(picture: dict, mask: dict) -> dict[str, Any]:
    """What to send as `data`, by name; none of it is a request that can be carried out."""
    found = {f"settings: {name}": [picture, mask, "x", value, ""] for name, value in SETTINGS.items()}
    found |= {f"picture: {name}": [value, mask, "x", "{}", ""] for name, value in FILES.items()}
    found |= {f"mask: {name}": [picture, value, "x", "{}", ""] for name, value in FILES.items() if value is not None}
    found |= {f"model: {name}": [picture, mask, "x", "{}", value] for name, value in MODELS.items()}
    found |= {"no list": {"a": 1}, "text": "x", "nothing": None, "too little": [picture], "empty": []}
    return found
