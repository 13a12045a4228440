"""Train the text encoder to write each thing's portrait into the last 49 positions of its output.

Trained together with a UNet, from nothing, it expressed colours but hardly any shapes for thousands of steps.
Trained alone on the portraits it takes minutes, and every query of the UNet's cross-attention finds the position it
needs.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from . import captions, checkpoint, colours, portraits, states, tokenizer, vae
from .captions import Order, Thing
from .plan import Plan
from .portraits import DRAWN, NUMBERS, POSITIONS, WIDE
from .run import Clock, Run
from .stickers import Sticker, textures

PEAK = 1e-3
SEED = 5  # added to the plan's own
HALF = WIDE // 2  # latent cells on a side of each of two things
BARE = 0.05  # share of captions for background, whose portrait is empty


def build(tokens: CLIPTokenizer, plan: Plan) -> CLIPTextModel:
    """Build an untrained text encoder: int64 [B, L] -> [B, L, width]."""
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


class Portraits:
    """The latents and the opacity of every sticker in every colour, at full and half size."""

    def __init__(self, stickers: list[Sticker], model: AutoencoderKL, plan: Plan):
        path = plan.work / "text" / "portraits.pt"
        tables = checkpoint.load(path)
        if tables is None:
            tables = {"whole": encoded(stickers, model, WIDE, plan), "half": encoded(stickers, model, HALF, plan)}
            checkpoint.save(path, tables)
        self.whole, self.half = (tables[name].to(plan.device) for name in ("whole", "half"))
        self.deviation = self.whole.float().std().item()

    def of(self, orders: list[Order]) -> Tensor:
        """Return [B, 49, 60]: the portrait of each order."""
        cells = torch.zeros(len(orders), 5, WIDE, WIDE, device=self.whole.device)
        singles = [n for n, order in enumerate(orders) if len(order.things) == 1]
        cells[singles] = self.whole[[row(orders[n].things[0]) for n in singles]].float()
        pairs, top = [n for n, order in enumerate(orders) if len(order.things) == 2], (WIDE - HALF) // 2
        for side, left in ((0, 0), (1, WIDE - HALF)):
            cells[pairs, :, top : top + HALF, left : left + HALF] = self.half[
                [row(orders[n].things[side]) for n in pairs]
            ].float()
        small = torch.tensor([order.small for order in orders], device=self.whole.device)
        return portraits.laid_out(cells, small)


def row(thing: Thing) -> int:
    """Return a thing's row in the tables: for each sticker its own colour first, then every colour of NAMES."""
    return thing.sticker * (len(colours.NAMES) + 1) + thing.colour + 1


@torch.no_grad()
def encoded(stickers: list[Sticker], model: AutoencoderKL, cells: int, plan: Plan) -> Tensor:
    """Return float16 [N × 13, 5, cells, cells]: latents on grey minus those of grey alone, and opacity, 0 to 2."""
    side, rows = 8 * cells, []
    pictures = textures(stickers, side).to(plan.device)
    every = torch.arange(-1, len(colours.NAMES), device=plan.device)
    for each in pictures:
        many = colours.painted((each.float() / 255).expand(len(every), -1, -1, -1), every)
        alpha = many[:, 3:]
        z = portraits.beyond_grey((many[:, :3] * 2 - 1) * alpha, model, plan)
        rows.append(torch.cat([z, 2 * F.avg_pool2d(alpha, 8)], 1).half().cpu())
    return torch.cat(rows)


def orders_at(step: int, stickers: list[Sticker], plan: Plan) -> list[Order]:
    """Return the orders of a step, seeded by the seed and the step."""
    rng = np.random.default_rng([plan.seed, SEED, step])
    return [
        captions.background(rng) if rng.random() < BARE else captions.order(rng, stickers)
        for _ in range(plan.text_batch)
    ]


def loss_at(
    step: int, encoder: CLIPTextModel, tokens: CLIPTokenizer, stickers: list[Sticker], table: Portraits, plan: Plan
) -> tuple[Tensor, dict]:
    """Return (loss, figures) of one step: the share of the portraits' variance that is not explained.

    The loss also drives the positions before the portrait to 0 in the numbers that the UNets read.
    """
    orders = orders_at(step, stickers, plan)
    wanted = table.of(orders)
    ids = tokenizer.encode(tokens, [each.words for each in orders]).to(plan.device)
    with plan.autocast():
        output = encoder(input_ids=ids).last_hidden_state[..., :NUMBERS].float()
    error = (output[:, -POSITIONS:] - wanted).square() / table.deviation**2  # [B, 49, 60]
    silence = output[:, :-POSITIONS].square().mean() / table.deviation**2
    drawn = error[..., :DRAWN].mean((1, 2))  # [B]
    unexplained = drawn.detach()
    figures = {"unexplained": unexplained.mean()}
    for name, which in kinds(orders).items():
        figures[name] = unexplained[torch.tensor(which)].mean() if any(which) else drawn.new_tensor(math.nan)
    return drawn.mean() + error[..., DRAWN:].mean() + silence, figures


def kinds(orders: list[Order]) -> dict[str, list[bool]]:
    """Return which orders ask for one thing in its own colour, for one in another colour, and for two things."""
    single = [len(order.things) == 1 for order in orders]
    own = [all(thing.colour < 0 for thing in order.things) for order in orders]
    return {
        "plain": [a and b for a, b in zip(single, own, strict=True)],
        "coloured": [a and not b for a, b in zip(single, own, strict=True)],
        "two": [len(order.things) == 2 for order in orders],
    }


def train(stickers: list[Sticker], plan: Plan, clock: Clock | None = None) -> None:
    """Train the text encoder, resuming from the last save, and save it as `work/text/final.pt`."""
    autoencoder, stamp = vae.load(plan)
    tokens, folder = tokenizer.load(stickers, plan), plan.work / "text"
    if checkpoint.finished(folder, stamp, plan.text_steps):
        return
    torch.manual_seed(plan.seed)
    encoder = build(tokens, plan).to(plan.device)
    run = Run(folder, encoder, plan.text_steps, peak=PEAK, plan=plan, stamp=stamp, clock=clock)
    if run.left() > 0:
        table = Portraits(stickers, autoencoder, plan)
        run.train(lambda step: loss_at(step, encoder, tokens, stickers, table, plan), lambda: None)
    final = {"step": run.step, "seconds": run.seconds, "stamp": stamp, "text": run.averaged()}
    checkpoint.save(folder / "final.pt", final)


def load(tokens: CLIPTokenizer, plan: Plan) -> CLIPTextModel:
    """Return the text encoder as far as it has been trained."""
    encoder = build(tokens, plan)
    encoder.load_state_dict(states.furthest(plan, "text").weights)
    return encoder.eval().requires_grad_(False).to(plan.device)
