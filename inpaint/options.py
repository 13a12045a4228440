"""Declare a request's fields with default, limits and help, and check values against them.

To let the program choose a value, pass None in Python and JSON, or the word auto in text.
"""

from __future__ import annotations

import math
import operator
from dataclasses import MISSING, Field, field
from typing import Any

from .errors import InvalidRequest

AUTO = "auto"
MAX_PROMPT = 4000  # characters; about 800 tokens


def option(
    default: Any,
    help: str,
    *,
    kind: type | None = None,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    group: str = "",
    flag: str = "",
    step: float | None = None,
) -> Any:
    """Return a dataclass field with everything a slider, a flag and a check need to know.

    kind  the type of the values; needed only where the default is None
    """
    meta = {"help": help, "low": low, "high": high, "choices": choices, "group": group, "flag": flag, "step": step}
    return field(default=default, metadata={**meta, "kind": kind or type(default)})


def kind_of(f: Field) -> type:
    """Return the type of the option's values: bool, int, float or str."""
    return f.metadata["kind"]


def optional(f: Field) -> bool:
    """Return whether the program chooses a value if none is given."""
    return f.default is None and f.default is not MISSING


def checked(f: Field, value: Any) -> Any:
    """Return the value in the option's own type and within its limits, or raise InvalidRequest.

    None and the word auto leave the choice to the program, for the options that allow it.
    """
    kind, meta = kind_of(f), f.metadata
    if optional(f) and (value is None or (isinstance(value, str) and value.strip().lower() == AUTO)):
        return None
    if value is None and AUTO in meta["choices"]:
        return AUTO
    value = _typed(f, value)
    if meta["choices"] and value not in meta["choices"]:
        raise InvalidRequest(
            f.name, f"{f.name} cannot be {shown(value)}.", f"Choose one of: {', '.join(meta['choices'])}."
        )
    low, high = meta["low"], meta["high"]
    if low is not None and not low <= value <= high:
        raise InvalidRequest(
            f.name,
            f"{f.name} is {shown(value)}.",
            f"Choose a value from {low:g} to {high:.12g}{', or auto' if optional(f) else ''}.",
        )
    if kind is str and len(value) > MAX_PROMPT:
        raise InvalidRequest(f.name, f"{f.name} is {len(value)} characters long.", f"Use at most {MAX_PROMPT}.")
    return value


def from_text(f: Field, text: str) -> Any:
    """Return the value that a text stands for; raise InvalidRequest if it stands for none."""
    kind = kind_of(f)
    if kind is bool:
        return checked(f, {"true": True, "on": True, "false": False, "off": False}.get(text.strip().lower(), text))
    try:
        return checked(f, kind(text))
    except ValueError:
        return checked(f, text)  # the word auto, or an error that says what the option takes


def to_text(f: Field, value: Any) -> str:
    """Return the value as text that `from_text` reads."""
    return AUTO if value is None else str(value)


def schema(f: Field) -> dict[str, Any]:
    """Return the option as a JSON schema: type, limits, choices, default and help."""
    meta = f.metadata
    names = {bool: "boolean", int: "integer", float: "number", str: "string"}
    name = names[kind_of(f)]
    described: dict[str, Any] = {"description": meta["help"], "type": [name, "null"] if optional(f) else name}
    if meta["low"] is not None:
        described |= {"minimum": meta["low"], "maximum": meta["high"]}
    if meta["choices"]:
        described["enum"] = list(meta["choices"])
    if kind_of(f) is str and not meta["choices"]:
        described["maxLength"] = MAX_PROMPT
    return described | {"default": f.default}


def _typed(f: Field, value: Any) -> Any:
    """Convert to bool, int, float or str without guessing: 20.0 passes as an int, '20' and True do not."""
    kind = kind_of(f)
    try:
        if kind is bool and isinstance(value, bool):
            return value
        if kind is int and not isinstance(value, bool):
            if isinstance(value, float) and value == round(value):
                return round(value)
            return operator.index(value)
        if kind is float and not isinstance(value, (bool, str, bytes)) and math.isfinite(value):
            return float(value)
        if kind is str and (isinstance(value, str) or value is None):
            return "".join(c if c.isprintable() or c in "\n\t" else " " * c.isspace() for c in value or "")
    except (TypeError, ValueError, OverflowError):
        pass
    wanted = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text"}[kind]
    raise InvalidRequest(
        f.name, f"{f.name} cannot be {shown(value)}.", f"It takes {wanted}{', or auto' if optional(f) else ''}."
    )


def shown(value: Any) -> str:
    """Return a value as text for a message: a plain one as Python writes it, of any other only the type.

    The repr of an unknown object could run its code or show a memory address.
    """
    plain = value is None or type(value) in (bool, int, float, str, bytes, list, dict, tuple)
    try:
        text = repr(value) if plain else f"a {type(value).__name__}"
    except (ValueError, RecursionError):  # Python does not print whole numbers of thousands of digits
        text = "so large a value"
    return text if len(text) <= 40 else text[:37] + "…"
