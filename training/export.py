"""Write the finished model as a folder in diffusers' layout, in float16, with its card and its list of words."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import torch
from diffusers import StableDiffusionInpaintPipeline

from . import card, measure, states, text, tokenizer, unet, vae
from .plan import Plan
from .sample import scheduler
from .stickers import Library


def export(library: Library, held_out: list, plan: Plan) -> Path:
    """Write the model to `work/export`, which can replace `assets/model`; return the folder.

    It is written beside the folder, then renamed over it.  Exits with a sentence if a part was not trained yet.
    """
    autoencoder, _ = vae.load(plan)
    tokens = tokenizer.load(library.stickers, plan)
    history = {name: states.furthest(plan, name) for name in card.ROWS}
    missing = [name for name in ("text", "inpaint", "base") if history[name] is None]
    if missing:
        raise SystemExit(f"Not trained yet: {', '.join(missing)}. A model needs all three.")
    unets = {mode: unet.build(channels, plan) for mode, channels in (("base", 4), ("inpaint", 9))}
    encoder = text.load(tokens, plan)
    for mode, network in unets.items():
        network.load_state_dict(history[mode].weights)
    autoencoder.register_to_config(scaling_factor=vae.scale(plan))
    folder, part = plan.work / "export", plan.work / "export.part"
    shutil.rmtree(part, ignore_errors=True)
    StableDiffusionInpaintPipeline(
        vae=autoencoder,
        text_encoder=encoder,
        tokenizer=tokens,
        unet=unets["base"],
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).to(dtype=torch.float16).save_pretrained(part)
    unets["inpaint"].half().save_pretrained(part / "unet_inpainting")
    names = sorted({sticker.name for sticker in library.stickers})
    (part / "words.json").write_text(json.dumps(names, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    autoencoder.float()  # the figures are measured with the rounded weights that are shipped
    figures = {
        "photos": measure.photos(autoencoder, held_out),
        "stickers": measure.stickers(autoencoder, library.stickers, held_out),
    }
    (part / "README.md").write_text(card.text(figures, history, date.today(), plan), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    return part.rename(folder)
