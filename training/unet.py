"""Train the two UNets, each grown from the one before it.

"first" has 4 input channels and learns for a short while what pictures and words are.  "inpaint" is grown from it,
with five new input channels that start at zero, as SD-inpainting was grown from Stable Diffusion; it sees where the
hole is, which is the quickest way to learn to fill one.  "base" drops those channels again and is trained further; it
is the shipped 4-channel UNet.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor

from . import cache, checkpoint, portraits, sheet, states, vae
from .layout import Layout, fastest
from .plan import Plan
from .run import Clock, Run
from .sample import Painter, scheduler
from .stickers import Library

PARENT = {"first": None, "inpaint": "first", "base": "inpaint"}
PEAK = {"first": 1e-3, "inpaint": 8e-4, "base": 5e-4}
SEED = {"first": 3, "inpaint": 4, "base": 6}  # added to the plan's own
GAMMA = 5.0  # of Hang et al. 2023, arXiv 2303.09556: timesteps with little noise count less
NOISY = 0.6  # t = 1000 u^NOISY, which favours the noisy timesteps, where the motif and its place are decided
OUTSIDE = 0.1  # weight of the loss outside the hole, where the picture overwrites the result at inference


def build(channels: int, plan: Plan) -> UNet2DConditionModel:
    """Build an untrained UNet, without attention at full size, where it costs most and the text matters least."""
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
    unet.set_attn_processor(AttnProcessor())
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if name.endswith(("attn2.to_k.weight", "attn2.to_v.weight")):  # only these layers read the words
                weight[:, portraits.NUMBERS :] = 0
    return unet


@torch.no_grad()
def grown(channels: int, weights: dict[str, Tensor], plan: Plan) -> UNet2DConditionModel:
    """Build a UNet from the trained `weights`; input channels that they lack start at zero.

    If the weights were trained with a text encoder of another width, the layers that read the words start untrained.
    """
    unet = build(channels, plan)
    mine = unet.state_dict()
    stem, known = torch.zeros_like(unet.conv_in.weight), weights["conv_in.weight"][:, :channels]  # [C, 4 or 9, 3, 3]
    stem[:, : known.shape[1]] = known
    fitting = {name: value for name, value in weights.items() if value.shape == mine[name].shape}
    unet.load_state_dict(mine | fitting | {"conv_in.weight": stem})
    return unet


class Lessons:
    """The training data of each step: noisy latents and words; step i is seeded by the seed and i."""

    def __init__(self, mode: str, source: cache.Cached | cache.Fresh, scale: float, plan: Plan):
        self.mode, self.source, self.scale, self.plan = mode, source, scale, plan
        self.alphas = scheduler().alphas_cumprod.to(plan.device)

    def at(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return (input [B, 4 or 9, h, w], t [B], words [B, L, d], velocity [B, 4, h, w], weight [B, 1, h, w]).

        The velocity, √ᾱ noise − √(1−ᾱ) z (Salimans & Ho 2022, arXiv 2202.00512), holds information on colours at
        every noise level.  An error in it is never magnified, while an error in predicted noise is, at high noise
        levels.
        """
        rng = cache.generator(self.plan, SEED[self.mode], step)
        scenes = self.source.at(step, rng)
        z, hole = scenes["clean"].float() * self.scale, scenes["hole"].float()  # [B, 4, h, w], [B, 1, h, w]
        t = (1000 * torch.rand(len(z), generator=rng, device=z.device) ** NOISY).long().clamp(max=999)
        noise = torch.randn(z.shape, generator=rng, device=z.device)
        a = self.alphas[t].view(-1, 1, 1, 1)
        x = a.sqrt() * z + (1 - a).sqrt() * noise
        velocity = a.sqrt() * noise - (1 - a).sqrt() * z
        counts = OUTSIDE + (1 - OUTSIDE) * hole
        weight = (GAMMA * (1 - a)).clamp(max=1) * counts / counts.mean((1, 2, 3), keepdim=True)  # 1 - a = 1/(SNR + 1)
        if self.mode == "inpaint":
            x = torch.cat([x, hole, scenes["masked"].float() * self.scale], 1)
        words = portraits.words(portraits.vague(scenes["portrait"].float(), rng), self.plan)
        return x, t, words, velocity, weight


def loss_at(step: int, lessons: Lessons, unet: Layout) -> tuple[Tensor, dict]:
    """Return (loss, figures) of one step."""
    x, t, words, velocity, weight = lessons.at(step)
    with lessons.plan.autocast():
        v = unet(x, t, words).float()
    error = (v - velocity).square()
    return (weight * error).mean(), {"mse": error.detach().mean()}


def steps_of(mode: str, plan: Plan) -> int:
    """Return the number of steps that the plan gives a UNet."""
    return getattr(plan, f"{mode}_steps")


def adopt(folder: Path, plan: Plan) -> None:
    """Use the 9-channel UNet of a finished model in diffusers' layout as the result of the first lessons."""
    path = plan.work / "first" / "final.pt"
    if not path.exists():
        model = UNet2DConditionModel.from_pretrained(folder / "unet_inpainting", torch_dtype=torch.float32)
        checkpoint.save(path, {"step": 0, "seconds": 0.0, "stamp": "", "unet": model.state_dict()})


def adopted(plan: Plan) -> bool:
    """Return whether the first lessons were replaced by a finished model's UNet."""
    state = checkpoint.load(plan.work / "first" / "final.pt")
    return state is not None and not state["stamp"]


def beginning(mode: str, channels: int, plan: Plan) -> UNet2DConditionModel:
    """Return the UNet before its first step: grown from its parent, if that has been trained, here or elsewhere."""
    if PARENT[mode] is None:
        return build(channels, plan)
    parent = states.furthest(plan, PARENT[mode])
    return build(channels, plan) if parent is None else grown(channels, parent.weights, plan)


def train(mode: str, library: Library, held_out: list, plan: Plan, clock: Clock | None = None) -> None:
    """Train the UNet "first", "inpaint" or "base", resuming from the last save; save it as `work/MODE/final.pt`."""
    autoencoder, stamp = vae.load(plan)
    torch.manual_seed(plan.seed)
    channels, steps, folder = 9 if mode == "inpaint" else 4, steps_of(mode, plan), plan.work / mode
    if checkpoint.finished(folder, stamp, steps) or (mode == "first" and adopted(plan)):
        return
    unet, scale = beginning(mode, channels, plan), vae.scale(plan)
    run = Run(
        folder, unet.to(plan.device), steps, peak=PEAK[mode], plan=plan, stamp=stamp, clock=clock, stride=plan.stride
    )
    if not plan.fresh:
        cache.fill(library, plan)
    source = cache.Fresh(library, plan) if plan.fresh else cache.Cached(plan)
    lessons = Lessons(mode, source, scale, plan)
    layout = fastest(unet, lambda layout: loss_at(run.step, lessons, layout)[0], plan)

    def report() -> None:
        twin = build(channels, plan).to(plan.device)
        twin.load_state_dict(run.averaged())
        painter = Painter(autoencoder, twin.eval(), scale)
        path = plan.out / f"{mode}.jpg" if plan.out else folder / "sheets" / f"{run.step:06d}.jpg"
        sheet.drawn(path, painter, library, held_out, plan)

    run.train(lambda step: loss_at(step, lessons, layout), report)
    checkpoint.save(
        folder / "final.pt",
        {"step": run.step, "seconds": run.seconds, "stamp": stamp, "unet": run.averaged()},
    )
