"""What a request leaves open, as suits the model: seed, guidance, noise, how a hole is closed without a prompt."""

from __future__ import annotations

from dataclasses import replace

from ..diffusion.noise import draw_seed
from ..request import Request


def settled(asked: Request, model, method: str) -> tuple[Request, list[str]]:
    """The request with nothing left open, and what to say about it; one that is settled stays as it is."""
    asked, notes = closing(asked, model, method)
    return replace(
        asked,
        seed=draw_seed() if asked.seed == -1 else asked.seed,
        guidance_scale=asked.guidance_scale or model.guidance[method],
        eta=asked.eta if asked.eta >= 0 else 0.0 if asked.article else model.eta[method],
    ), notes


def closing(asked: Request, model, method: str) -> tuple[Request, list[str]]:
    """Without a prompt some models do best from what stands around, unless a strength or fill was asked for."""
    plain = asked.strength == 1 and asked.fill in ("auto", "border") and not (asked.article or asked.expand)
    hole = asked.mask is not None or asked.mask_from_alpha
    if model.closing == 1 or asked.prompt.strip() or not (plain and hole):
        return asked, []
    finish = "multiband" if asked.finish == "auto" else asked.finish  # feather shifts the colours that are held
    # the method is told, for `auto` would now go by the strength; fresh noise helps drawing, not this
    asked = replace(
        asked,
        strength=model.closing,
        fill="border",
        colour_hold=1.0,
        finish=finish,
        eta=max(asked.eta, 0.0),
        method=method,
    )
    return asked, [
        "Without a prompt this model closes a hole from its surroundings, at strength "
        f"{model.closing:g}; choose the fill “noise” to have it begin anew."
    ]
