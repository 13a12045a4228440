"""Choose what a request leaves open, to suit the model: few steps, seed, guidance, eta, the fill without a prompt."""

from __future__ import annotations

from dataclasses import replace

from ..diffusion.noise import draw_seed
from ..diffusion.presets import AUTO, PRESETS
from ..diffusion.schedule import is_flow
from ..diffusion.schedulers import OWN_SPACING, offered
from ..options import shown
from ..request import Request, options
from .protocols import Model

SEEDS = 2**32  # the number of seeds; other whole numbers are taken modulo this
USUAL = "ddim"  # the sampler of the article


def resolved(asked: Request, model: Model, method: str) -> tuple[Request, list[str]]:
    """Return the request with every open setting chosen, and notes; one with none open stays as it is."""
    asked, notes = without_prompt(asked, model, method)
    asked, more = with_preset(asked, model, method)
    notes = [*notes, *more]
    seed = draw_seed() if asked.seed is None else asked.seed % SEEDS
    if asked.seed is not None and asked.seed != seed:
        notes.append(f"The seed {shown(asked.seed)} is taken modulo 2³²: {seed}.")
    asked, more = walkable(asked, model)
    etas = {"ddim": model.eta[method], "tcd": PRESETS["tcd"]["eta"]}
    if asked.article:
        eta = asked.eta or 0.0
    elif asked.sampler in etas and not is_flow(model.schedule):
        eta = etas[asked.sampler] if asked.eta is None else asked.eta
    else:
        more += [f"The sampler {asked.sampler} has no eta: it is ignored."] if asked.eta else []
        eta = 0.0
    guidance = model.guidance[method] if asked.guidance_scale is None else asked.guidance_scale
    return replace(asked, seed=seed, guidance_scale=guidance, eta=eta), notes + more


def with_preset(asked: Request, model: Model, method: str) -> tuple[Request, list[str]]:
    """Return the request with the preset that the model's or a LoRA's name tells, and a note if it has one.

    What was set away from its default stays.  A network that takes the guidance as an input keeps its own guidance.
    """
    few, notes = model.few_steps, list[str]()
    if asked.preset == AUTO and few is not None and not asked.article:
        fields = options()
        begun = {name: v for name, v in few.settings().items() if getattr(asked, name) == fields[name].default}
        asked = replace(asked, preset=few.preset, **begun)
        notes.append(
            f"By its name {few.name} is made for few steps: the preset {few.preset} takes {asked.steps}; choose the "
            "preset none to set them yourself."
        )
    preset = PRESETS.get(asked.preset, {})
    if preset and asked.guidance_scale == preset["guidance_scale"] and model.embeds_guidance(method):
        asked = replace(asked, guidance_scale=None)
    return asked, notes


def walkable(asked: Request, model: Model) -> tuple[Request, list[str]]:
    """Return the request with a sampler that can walk the model's schedule, and notes on what has no effect."""
    notes, walks, preset = [], offered(model.schedule), PRESETS.get(asked.preset, {})
    if asked.sampler not in walks:
        if asked.sampler != preset.get("sampler"):
            notes.append(f"This model cannot use the sampler {asked.sampler}; {walks[-1]} is used instead.")
        asked = replace(asked, sampler=walks[-1])
    own = asked.sampler in OWN_SPACING or is_flow(model.schedule)
    if own and asked.spacing not in (AUTO, preset.get("spacing")):
        notes.append("This walk has a spacing of its own: the one asked for is ignored.")
    if asked.sampler != USUAL and asked.article:
        notes.append(f"The article's program uses {USUAL}, not {asked.sampler}.")
    return asked, notes


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
