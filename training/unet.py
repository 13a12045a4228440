"""The two UNets, each grown from the one before it.

"first" has 4 channels in and learns for a short while what pictures and words are.  "inpaint" is grown from it, with
five new input channels at zero, as SD-inpainting was from Stable Diffusion; it sees where a hole is, which is the
quickest way to learn how to fill one.  "base" drops those channels again and goes on: the shipped 4-channel UNet.
"""

from __future__ import annotations

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from . import cache, checkpoint, sheet, text, tokenizer, vae
from .captions import EMPTY
from .plan import Plan
from .run import Run
from .sample import Painter, scheduler
from .scenes import Library

PARENT = {"first": None, "inpaint": "first", "base": "inpaint"}
PEAK = {"first": 1e-3, "inpaint": 1e-3, "base": 5e-4}
SEED = {"first": 3, "inpaint": 4, "base": 6}  # beside the plan's own
GAMMA = 5.0  # as in Hang et al. 2023, arXiv 2303.09556: steps with little noise count less
NOISY = 0.6  # t = 1000 u^NOISY: more of the steps in which it is decided what is drawn and where
OUTSIDE = 0.1  # weight of the loss outside the hole, which the picture itself overwrites at use


def build(channels: int, plan: Plan) -> UNet2DConditionModel:
    """An untrained UNet; no attention at full size, where it costs most and the text says least."""
    plain, cross = len(plan.channels) - 1, "CrossAttn"
    unet = UNet2DConditionModel(
        sample_size=plan.size // 8,
        in_channels=channels,
        out_channels=4,
        down_block_types=("DownBlock2D",) + (f"{cross}DownBlock2D",) * plain,
        up_block_types=(f"{cross}UpBlock2D",) * plain + ("UpBlock2D",),
        block_out_channels=plan.channels,
        layers_per_block=1,
        cross_attention_dim=plan.text_width,
        attention_head_dim=4,
        norm_num_groups=16,
    )
    unet.set_attn_processor(AttnProcessor())  # for so few tokens a third faster than the fused one
    return unet


@torch.no_grad()
def grown(channels: int, weights: dict[str, Tensor], plan: Plan) -> UNet2DConditionModel:
    """A UNet with the trained `weights`, which ignores input channels that are new to those."""
    unet = build(channels, plan)
    stem, known = torch.zeros_like(unet.conv_in.weight), weights["conv_in.weight"][:, :channels]  # [C, 4 or 9, 3, 3]
    stem[:, : known.shape[1]] = known
    unet.load_state_dict(weights | {"conv_in.weight": stem})
    return unet


class Lessons:
    """Noisy latents with their words; those of step i are a function of the seed and i."""

    def __init__(self, mode: str, tokens: CLIPTokenizer, encoder: CLIPTextModel, plan: Plan):
        self.mode, self.plan = mode, plan
        self.scenes = scenes = cache.load(plan)
        self.scale = scenes.scale
        self.words = text.read(
            encoder, tokenizer.encode(tokens, scenes.captions if mode == "inpaint" else scenes.titles)
        )
        self.bare = torch.tensor([n for n, words in enumerate(scenes.captions) if words in EMPTY])
        self.alphas = scheduler().alphas_cumprod

    def at(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """(input [B, 4 or 9, h, w], t [B], words [B, L, d], velocity [B, 4, h, w], weight [B, 1, h, w]).

        The velocity, √ᾱ noise − √(1−ᾱ) z (Salimans & Ho 2022, arXiv 2202.00512), tells colours at every noise
        level: an error in it is never magnified, as one in the noise is where hardly anything else is left.
        """
        scenes, words, count = self.scenes, self.words, self.plan.batch
        rng = np.random.default_rng([self.plan.seed, SEED[self.mode], step])
        chosen = torch.from_numpy(rng.integers(len(words), size=count))
        if self.mode == "inpaint" and len(self.bare) and step >= self.plan.ground_from * self.plan.inpaint_steps:
            chosen[: count // 2] = self.bare[chosen[: count // 2] % len(self.bare)]
        t = torch.from_numpy((1000 * rng.random(count) ** NOISY).astype(np.int64))
        z = scenes.clean[chosen].float() * self.scale  # [B, 4, h, w]
        noise = torch.from_numpy(rng.standard_normal(z.shape, dtype=np.float32))
        a = self.alphas[t].view(-1, 1, 1, 1)
        x = a.sqrt() * z + (1 - a).sqrt() * noise
        velocity = a.sqrt() * noise - (1 - a).sqrt() * z
        hole = scenes.hole[chosen].float()  # [B, 1, h, w]
        counts = OUTSIDE + (1 - OUTSIDE) * hole
        weight = (GAMMA * (1 - a)).clamp(max=1) * counts / counts.mean((1, 2, 3), keepdim=True)  # 1 - a = 1/(SNR + 1)
        if self.mode == "inpaint":
            x = torch.cat([x, hole, scenes.masked[chosen].float() * self.scale], 1)
        return x, t, words[chosen].float(), velocity, weight


def loss_at(step: int, lessons: Lessons, unet: UNet2DConditionModel) -> tuple[Tensor, dict]:
    """(loss, figures) of one step."""
    x, t, words, velocity, weight = lessons.at(step)
    with torch.autocast("cpu", torch.bfloat16):
        v = unet(x, t, words).sample.float()
    error = (v - velocity).square()
    return (weight * error).mean(), {"mse": error.detach().mean().item()}


def steps_of(mode: str, plan: Plan) -> int:
    """How many steps the plan has for a UNet."""
    return getattr(plan, f"{mode}_steps")


def train(mode: str, library: Library, held_out: list, plan: Plan) -> None:
    """The finished weights of "first", "inpaint" or "base" at `work/MODE/final.pt`."""
    autoencoder, _ = vae.load(plan)
    tokens = tokenizer.load(library.stickers, plan)
    encoder, stamp = text.load(tokens, plan)
    torch.manual_seed(plan.seed)
    channels, steps = 9 if mode == "inpaint" else 4, steps_of(mode, plan)
    if PARENT[mode]:
        weights = checkpoint.load(plan.work / PARENT[mode] / "final.pt")["unet"]
        unet, stamp = grown(channels, weights, plan), checkpoint.fingerprint(weights) + stamp
    else:
        unet = build(channels, plan)
    folder = plan.work / mode
    if checkpoint.finished(folder, stamp, steps):
        return
    run = Run(folder, unet, steps, peak=PEAK[mode], plan=plan, stamp=stamp)
    lessons = Lessons(mode, tokens, encoder, plan)

    def report() -> None:
        twin = build(channels, plan)
        twin.load_state_dict(run.averaged())
        painter = Painter(autoencoder, twin.eval(), encoder, tokens, lessons.scale)
        sheet.drawn(folder / "sheets" / f"{run.step:06d}.png", painter, held_out, plan.size)

    run.train(lambda step: loss_at(step, lessons, unet), report)
    checkpoint.save(
        folder / "final.pt",
        {"step": run.step, "seconds": run.seconds, "stamp": stamp, "scale": lessons.scale, "unet": run.averaged()},
    )
