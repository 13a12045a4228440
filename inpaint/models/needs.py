"""Compute how much memory a model's weights need, from the sizes of its networks, before they are loaded."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InpaintError
from ..memory import device as devices
from ..memory.policy import PASS
from .registry import FAMILIES, card_of

GB = 1e9


@dataclass(frozen=True)
class Needs:
    """The bytes that a model's networks need together, that the largest of them needs, and that are free here."""

    together: int
    largest: int
    free: int


def sizes(name: str) -> dict[str, int] | None:
    """Return the number of parameters of each network; None if the model is not here and not known by name."""
    from .sources import source

    card = FAMILIES.get(name)
    if card is not None and card.sizes:
        return {part: round(millions * 1e6) for part, millions in card.sizes.items()}
    names = card_of(name).base
    try:
        return source(names, offline=True).sizes() if names else None
    except InpaintError:
        return None


def of(name: str, device: str = "auto") -> Needs | None:
    """Return what a model needs in the precision that suits this machine; None if its sizes are not known."""
    found = sizes(name)
    if not found:
        return None
    place, total = devices.pick(device), sum(found.values())
    width = devices.precision(place.type, parameters=total, bfloat16=devices.has_bfloat16(place)).itemsize
    return Needs(width * total, width * max(found.values()), devices.free_bytes(place))


def table(width: int = 2) -> list[tuple[str, float, float, float]]:
    """Return (name, all at once, the largest network, a pass beside them), in GB, for the models known by name.

    width  bytes of a weight: 2 in half precision
    """
    rows = []
    for name, card in FAMILIES.items():
        if card.sizes:
            millions = card.sizes.values()
            room = PASS * card.side**2
            rows.append((name, width * sum(millions) / 1e3, width * max(millions) / 1e3, room / GB))
    return rows
