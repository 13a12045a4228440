"""Write the model card: the model's parts, data and training, what it can do and what it cannot."""

from __future__ import annotations

from datetime import date

from inpaint.models.loading import FAMILIES

from . import tokenizer
from .photos import HELD_OUT
from .plan import Plan

CARD = """\
---
license: mit
library_name: diffusers
pipeline_tag: image-to-image
---

# The built-in model

A complete small Stable Diffusion for inpainting, trained from nothing by `training/`.
Paint a hole in a photo, name a sticker, and it appears there; leave the prompt empty, and the hole becomes
background.

| part | what it is |
|---|---|
| `vae/` | AutoencoderKL, 8× down, 4 latent channels; its posterior is a point |
| `text_encoder/`, `tokenizer/` | CLIP classes, {vocabulary} byte-pair tokens, {positions} positions |
| `unet/` | 4 channels in, for masked DDIM |
| `unet_inpainting/` | 9 channels in; shares the text encoder |
| `scheduler/` | Stable Diffusion's noise levels, DDIM |
| `words.json` | the names it was taught |

## Data
- Stickers: 3D Fluent emoji (MIT), from the npm package `@lobehub/fluent-emoji-3d`; names and keywords from
  `unicode-emoji-json` and `emojilib` (MIT). People, flags and symbols are left out.
- Photos: 40 photographs, CC0 or public domain, except for 9 whose terms were not checked one by one and which are
used
  for training only; {held_out} of the 40 were never trained on ({held_out_names}).

## Training
{history}

The seed is {seed}; a run that is killed resumes from the last save and ends in the same weights. A step of a UNet is
{batch} scenes of {size} px; a GPU takes many steps at once. Where hours are 0, the part comes from an earlier edition
of this model.

## Measured ({day}, on these float16 weights)
| what | dB |
|---|---|
| round trip, held-out photos at 256 px | {photos:.1f} |
| round trip, stickers of 160 px on plain grey at 256 px | {stickers:.1f} |
| round trip, the same on held-out photos | {scenes:.1f} |

The photos' figure is the mean over the middle square of each held-out photo and over its middle half.

## Limits
- It draws the stickers it was taught and nothing else: no people, no flags, no scenes, no style words.
- It knows their names and common keywords in English, a dozen colours, small and big, and two things at once; an
  unknown word gives any sticker or none.
- It works at {size} px, on a close-up of the hole, which is then enlarged: fine texture and small print are lost.
- A guidance of about {guidance[inpaint]:g} suits the 9-channel UNet, far less than large models take; more makes
  colours garish. Masked DDIM takes {guidance[base]:g} and fresh noise in each step (eta {eta[base]:g}).
"""
ROWS = {
    "vae": "autoencoder",
    "text": "text encoder",
    "first": "4-channel UNet, first lessons",
    "inpaint": "9-channel UNet, grown from it",
    "base": "4-channel UNet, grown from that",
}


def text(figures: dict, history: dict, day: date, plan: Plan) -> str:
    """Return the card in Markdown, from measured figures and the runs' final states."""
    rows = ["| stage | steps | hours |", "|---|---|---|"]
    rows += [
        f"| {name} | {history[stage].step:,} | {history[stage].seconds / 3600:.1f} |"
        for stage, name in ROWS.items()
        if history[stage] is not None
    ]
    (stickers, scenes), card = figures["stickers"], FAMILIES["builtin"]
    return CARD.format(
        vocabulary=f"about {plan.vocabulary:,}",
        held_out=len(HELD_OUT),
        held_out_names=", ".join(HELD_OUT),
        history="\n".join(rows),
        seed=plan.seed,
        size=plan.size,
        batch=plan.batch,
        positions=tokenizer.LENGTH,
        guidance=card.guidance,
        eta=card.eta,
        day=day.isoformat(),
        photos=figures["photos"],
        stickers=stickers,
        scenes=scenes,
    )
