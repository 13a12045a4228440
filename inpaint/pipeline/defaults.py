"""Choose what a request leaves open, to suit the model: seed, guidance, eta, and how to fill without a prompt."""

from __future__ import annotations

from dataclasses import replace

from ..diffusion.noise import draw_seed
from ..diffusion.schedulers import offered
from ..options import shown
from ..request import Request
from .protocols import Model

SEEDS = 2**32  # the number of seeds; other whole numbers are taken modulo this
NOISY = "ddim"  # the only sampler that uses eta


def resolved(asked: Request, model: Model, method: str) -> tuple[Request, list[str]]:
    """Return the request with every open setting chosen, and notes; one with none open stays as it is."""
    asked, notes = without_prompt(asked, model, method)
    seed = draw_seed() if asked.seed is None else asked.seed % SEEDS
    if asked.seed is not None and asked.seed != seed:
        notes.append(f"The seed {shown(asked.seed)} is taken modulo 2³²: {seed}.")
    eta = 0.0 if asked.article else model.eta[method]
    walks = offered(model.schedule)
    if asked.sampler not in walks:
        notes.append(f"This model is not walked by {asked.sampler}: {walks[-1]} is used.")
        asked = replace(asked, sampler=walks[-1])
    if (asked.sampler == NOISY and len(walks) > 2) or asked.article:
        eta = eta if asked.eta is None else asked.eta
    else:
        notes += [f"The sampler {asked.sampler} has no eta: it is ignored."] if asked.eta else []
        eta = 0.0
    if asked.sampler != NOISY and asked.article:
        notes.append(f"The article's program uses {NOISY}, not {asked.sampler}.")
    guidance = model.guidance[method] if asked.guidance_scale is None else asked.guidance_scale
    return replace(asked, seed=seed, guidance_scale=guidance, eta=eta), notes


def without_prompt(asked: Request, model: Model, method: str) -> tuple[Request, list[str]]:
    """Return the request for a hole without a prompt, which some models fill best from its surroundings; and notes.

    It is unchanged if there is a prompt, or if strength or fill were chosen.
    """
    plain = asked.strength == 1 and asked.fill in ("auto", "border") and not (asked.article or asked.expand)
    hole = asked.mask is not None or asked.mask_from_alpha
    if model.fill_strength == 1 or asked.prompt.strip() or not (plain and hole):
        return asked, []
    finish = "multiband" if asked.finish == "auto" else asked.finish  # feather would shift the colours that are held
    # `auto` would choose the method by the new strength, so it is fixed; fresh noise (eta) helps only to draw things
    asked = replace(
        asked,
        strength=model.fill_strength,
        fill="border",
        colour_hold=1.0,
        finish=finish,
        eta=asked.eta or 0.0,
        method=method,
    )
    return asked, [
        "Without a prompt this model fills a hole from its surroundings, at strength "
        f"{model.fill_strength:g}; choose the fill “noise” to start from scratch."
    ]
