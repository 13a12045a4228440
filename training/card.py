"""The model card: what the model is made of, what it can do and what not."""

from __future__ import annotations

from datetime import date

from inpaint.models.loading import FAMILIES

from .photos import HELD_OUT
from .plan import Plan

CARD = """\
---
license: mit
library_name: diffusers
pipeline_tag: image-to-image
---

# The built-in model

A complete small Stable Diffusion for inpainting, trained from nothing by `training/` on two processor cores.
Paint a hole in a photo, name a sticker, and it appears there; leave the prompt empty, and the hole becomes
background.

| part | what it is |
|---|---|
| `vae/` | AutoencoderKL, 8× down, 4 latent channels; its posterior is a point |
| `text_encoder/`, `tokenizer/` | CLIP classes, {vocabulary} byte-pair tokens, 36 positions |
| `unet/` | 4 channels in, for masked DDIM |
| `unet_inpainting/` | 9 channels in; shares the text encoder |
| `scheduler/` | Stable Diffusion's noise levels, DDIM |
| `words.json` | the names it was taught |

## Data
- Stickers: 3D Fluent emoji (MIT), from the npm package `@lobehub/fluent-emoji-3d`; names and keywords from
  `unicode-emoji-json` and `emojilib` (MIT). People, flags and symbols are left out.
- Photos: 40 photographs, CC0 or public domain but for 9 whose single terms were not checked again and which are used
  for training only; {held_out} of them were never trained on ({held_out_names}).

## Training
{history}

The seed is {seed}; a killed run goes on where it was saved and ends in the same weights.  These weights are not quite
a run of the plan as it stands: the first 12,500 steps of the autoencoder were drafts of this recipe, which also saw
the held-out photos, and the 9-channel UNet's budget was first 6,500, then 8,000, then 6,500 and at last 7,500 steps,
its learning rate already falling before it was raised; holes with nothing in them were half of its batches from step
6,500 on, not 5,625.  The 4-channel UNet's budget was 2,000, 1,400, 1,500, 1,300, 6,000 and at last 11,000 steps, its
learning rate already at its lowest when it was raised from 1,300 and from 6,000.

## Measured ({day}, on these float16 weights)
| what | dB |
|---|---|
| round trip, held-out photos at 256 px | {photos:.1f} |
| round trip, stickers of 160 px on plain grey at 256 px | {stickers:.1f} |
| round trip, the same on held-out photos | {scenes:.1f} |

The photos' figure is the mean over the middle square of each held-out photo and over its middle half.

## Limits
- It draws the stickers it was taught and nothing else: no people, no flags, no scenes, no style words.
- It knows their names and common keywords in English; an unknown word gives any sticker or none.
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
    """The card in Markdown, from measured figures and the runs' final states."""
    rows = ["| stage | steps | hours, mostly one thread beside other work |", "|---|---|---|"]
    rows += [
        f"| {name} | {history[stage]['step']:,} | {history[stage]['seconds'] / 3600:.1f} |"
        for stage, name in ROWS.items()
    ]
    (stickers, scenes), card = figures["stickers"], FAMILIES["builtin"]
    return CARD.format(
        vocabulary=f"about {plan.vocabulary:,}",
        held_out=len(HELD_OUT),
        held_out_names=", ".join(HELD_OUT),
        history="\n".join(rows),
        seed=plan.seed,
        size=plan.size,
        guidance=card.guidance,
        eta=card.eta,
        day=day.isoformat(),
        photos=figures["photos"],
        stickers=stickers,
        scenes=scenes,
    )
