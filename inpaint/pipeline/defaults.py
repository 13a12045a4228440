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
        notes.append(f"This model cannot use the sampler {asked.sampler}; {walks[-1]} is used instead.")
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
    """Return the request, changed so that its hole is filled from the surroundings, and notes.

    That is done without a prompt, for models that draw no better then, unless the request has a strength or fill of
    its own or no hole.
    """
    own = (asked.task != "remove" and asked.strength != 1) or asked.fill not in ("auto", "patch")
    hole = asked.mask is not None or asked.mask_from_alpha or asked.expand
    if model.fill_strength == 1 or asked.prompt.strip() or own or asked.article or not hole:
        return on_ground(asked, model), []
    # the method stays as it was chosen before the strength changed, on which `auto` depends
    known = asked.task == "remove"  # the note would tell what was asked for
    asked = replace(asked, strength=model.fill_strength, fill="patch", method=method)
    return asked, [] if known else [
        "Without a prompt this model fills a hole with copies of its surroundings; choose the fill “noise” to let it "
        "paint."
    ]


def on_ground(asked: Request, model: Model) -> Request:
    """Fill the hole first if the model draws onto that ground, and the request leaves the fill open."""
    masked = asked.mask is not None or asked.mask_from_alpha
    open_ = asked.fill == "auto" and asked.strength == 1 and not asked.article
    return replace(asked, fill="patch") if model.ground and masked and open_ and asked.prompt.strip() else asked
