"""The text encoder, taught what each name looks like before any UNet is there.

Its last 25 positions become a 5 × 5 portrait of the sticker: a linear head must read 2 × 2 latent cells, their
opacity, and its own row and column off each.  A UNet then need not learn a thousand pictures, only how to put into a
hole what its cross-attention finds written there; each of its queries can ask for a place in the portrait.  CLIP's
encoder, too, was trained against pictures first (Radford et al. 2021, arXiv 2103.00020).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from . import captions, checkpoint, tokenizer, vae
from .plan import Plan
from .run import Run
from .scenes import Library
from .stickers import Sticker

PEAK = 1.5e-3
SEED = 5  # beside the plan's own
GRID, CELLS = 5, 2  # positions a side, latent cells a side in each
SIDE = 8 * GRID * CELLS  # px of a portrait
BARE = 0.08  # share of captions for background, whose portrait is nothing


def build(tokens: CLIPTokenizer, plan: Plan) -> CLIPTextModel:
    """An untrained text encoder: int64 [B, L] -> [B, L, width]."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokens),
            hidden_size=plan.text_width,
            intermediate_size=3 * plan.text_width,
            num_hidden_layers=plan.text_layers,
            num_attention_heads=plan.text_width // 32,
            max_position_embeddings=tokenizer.LENGTH,
            bos_token_id=tokens.bos_token_id,
            eos_token_id=tokens.eos_token_id,
            pad_token_id=tokens.pad_token_id,
        )
    )


@torch.no_grad()
def portraits(stickers: list[Sticker], model: AutoencoderKL) -> Tensor:
    """[N + 1, 25, 30]: what each position shall tell: its cells' latents less grey's, their opacity, and its place.

    The last one is that of nothing: zeros but for the rows and columns.
    """
    grey, rows = Image.new("RGB", (SIDE, SIDE), (128, 128, 128)), []
    plain = model.encode(vae.pixels(np.array(grey)[None])).latent_dist.mode()  # [1, 4, 10, 10]
    for sticker in stickers:
        stamp, picture = sticker.picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), grey.copy()
        picture.paste(stamp, mask=stamp)
        z = model.encode(vae.pixels(np.array(picture)[None])).latent_dist.mode() - plain
        alpha = torch.from_numpy(np.asarray(stamp.getchannel("A")) / 127.5).float()[None, None]
        rows.append(torch.cat([z, F.avg_pool2d(alpha, 8)], 1))
    cells = torch.cat([*rows, torch.zeros_like(rows[0])])  # [N + 1, 5, 10, 10]
    cells = cells.unflatten(3, (GRID, CELLS)).unflatten(2, (GRID, CELLS))  # [N + 1, 5, 5, 2, 5, 2]
    cells = cells.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)  # [N + 1, 25, 20]
    places = torch.cartesian_prod(torch.arange(GRID), torch.arange(GRID))  # [25, 2]
    return torch.cat([cells, F.one_hot(places, GRID).flatten(1).expand(len(cells), -1, -1)], 2)


def loss_at(
    step: int, model: nn.ModuleDict, tokens: CLIPTokenizer, library: Library, wanted: Tensor, plan: Plan
) -> tuple[Tensor, dict]:
    """(loss, figures) of one step: the share of the portraits' variance that is not told."""
    rng = np.random.default_rng([plan.seed, SEED, step])
    chosen = rng.integers(len(library.stickers), size=plan.text_batch)
    chosen[rng.random(plan.text_batch) < BARE] = len(library.stickers)
    texts = [
        captions.background(rng) if which == len(library.stickers) else captions.caption(rng, library.stickers[which])
        for which in chosen
    ]
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model["text"](input_ids=tokenizer.encode(tokens, texts)).last_hidden_state
        told = model["head"](hidden[:, -(GRID**2) :]).float()  # [B, 25, 30]
    loss = F.mse_loss(told, wanted[torch.from_numpy(chosen)]) / wanted.var()
    return loss, {"untold": loss.item()}


def train(library: Library, plan: Plan) -> None:
    """The finished text encoder at `work/text/final.pt`."""
    autoencoder, stamp = vae.load(plan)
    tokens, folder = tokenizer.load(library.stickers, plan), plan.work / "text"
    if checkpoint.finished(folder, stamp, plan.text_steps):
        return
    torch.manual_seed(plan.seed)
    model = nn.ModuleDict({"text": build(tokens, plan), "head": nn.Linear(plan.text_width, 5 * CELLS**2 + 2 * GRID)})
    run = Run(folder, model, plan.text_steps, peak=PEAK, plan=plan, stamp=stamp)
    wanted = portraits(library.stickers, autoencoder)
    run.train(lambda step: loss_at(step, model, tokens, library, wanted, plan), lambda: None)
    twin = nn.ModuleDict({"text": build(tokens, plan), "head": model["head"]})
    twin.load_state_dict(run.averaged())
    checkpoint.save(
        folder / "final.pt",
        {"step": run.step, "seconds": run.seconds, "stamp": stamp, "text": twin["text"].state_dict()},
    )


def load(tokens: CLIPTokenizer, plan: Plan) -> tuple[CLIPTextModel, str]:
    """(the finished text encoder, the fingerprint of it and of the autoencoder it stands on)."""
    state = checkpoint.load(plan.work / "text" / "final.pt")
    text = build(tokens, plan)
    text.load_state_dict(state["text"])
    return text.eval().requires_grad_(False), checkpoint.fingerprint(state["text"]) + state["stamp"]


@torch.no_grad()
def read(text: CLIPTextModel, ids: Tensor) -> Tensor:
    """[N, L, width], bfloat16: what the encoder makes of each row of tokens [N, L]."""
    return torch.cat([text(input_ids=some).last_hidden_state.bfloat16() for some in ids.split(512)])
