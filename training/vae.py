"""Train the autoencoder, 8× down to 4 channels; it is trained first and stays unchanged afterwards."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor

from . import checkpoint, measure, sheet
from .patches import patch
from .plan import Plan
from .run import Run
from .stickers import Library

PEAK = 1e-3
PATCH = 64
NOISE = 0.03  # noise added to the latents in training, relative to their deviation, since no UNet draws them exactly
POINT = -30.0  # log variance of the posterior: so narrow that a sample equals its mean
COLOURS_BY = 3_000  # steps with a heavy colour loss; without it, red and green are not learnt for hours


def build(plan: Plan) -> AutoencoderKL:
    """Build an untrained autoencoder without randomness in its posterior."""
    levels = len(plan.vae_channels)
    vae = AutoencoderKL(
        block_out_channels=plan.vae_channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=min(8, plan.vae_channels[0]),
        sample_size=2 * plan.size,
    )
    vae.set_attn_processor(AttnProcessor())  # faster here than fused attention
    point(vae)
    return vae


@torch.no_grad()
def point(vae: AutoencoderKL) -> None:
    """Fix the log-variance half of the encoder's output, since pipelines sample the posterior."""
    vae.quant_conv.weight[4:] = 0
    vae.quant_conv.bias[4:] = POINT


def pixels(pictures: np.ndarray) -> Tensor:
    """Convert uint8 [B, H, W, 3] to float32 [B, 3, H, W] in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1


def batch(step: int, library: Library, plan: Plan) -> Tensor:
    """Return [B, 3, h, w]: the patches of a step, seeded by the seed and the step."""
    rng = np.random.default_rng([plan.seed, 1, step])
    large = step >= plan.vae_final * plan.vae_steps
    size, count = (2 * PATCH, max(1, plan.vae_batch // 4 + 1)) if large else (PATCH, plan.vae_batch)
    return pixels(np.stack([patch(rng, library, size) for _ in range(count)]))


def loss(y: Tensor, x: Tensor, step: int) -> Tensor:
    """Return the loss: squared error for PSNR, differences of neighbours for sharp edges, and pooled colours."""
    heavy = 1.0 if step < COLOURS_BY else 0.2
    total = 10 * F.mse_loss(y, x) + 0.2 * F.l1_loss(y, x)
    for axis in (2, 3):
        total = total + 0.1 * F.l1_loss(y.diff(dim=axis), x.diff(dim=axis))
    error = F.avg_pool2d(y - x, 4)  # [B, 3, h/4, w/4]
    opponent = error - error.roll(1, dims=1)  # red − blue, green − red, blue − green
    return total + heavy * (opponent.abs().mean() + 1.5 * opponent.square().mean())


def loss_at(step: int, vae: AutoencoderKL, library: Library, plan: Plan) -> tuple[Tensor, dict]:
    """Return (loss, figures) of one step."""
    x = batch(step, library, plan).to(plan.device)
    noise = torch.Generator(plan.device).manual_seed(plan.seed * 1_000_003 + step)
    with plan.autocast():
        z = vae.quant_conv(vae.encoder(x)).float()[:, :4]  # [B, 4, h/8, w/8]
        z = z + NOISE * z.detach().std() * torch.randn(z.shape, generator=noise, device=z.device)
        y = vae.decoder(vae.post_quant_conv(z)).float()
    mse = F.mse_loss(y.detach().clamp(-1, 1), x).item()
    figures = {"psnr": 10 * math.log10(4 / mse), "deviation": z.detach().std().item()}
    return loss(y, x, step) + 1e-5 * z.square().mean(), figures


def train(library: Library, held_out: list, plan: Plan) -> None:
    """Train the autoencoder, resuming from the last save, and save it as `work/vae/final.pt`."""
    folder = plan.work / "vae"
    final = checkpoint.load(folder / "final.pt")
    if final is not None and final["step"] >= plan.vae_steps:
        return
    torch.manual_seed(plan.seed)
    vae = build(plan)
    run = Run(folder, vae.to(plan.device), plan.vae_steps, peak=PEAK, plan=plan)

    def report() -> None:
        twin = build(plan)
        twin.load_state_dict(run.averaged())
        measure.log(folder / "held_out.csv", run.step, twin.eval(), held_out, library.stickers)
        sheet.round_trip(folder / "sheets" / f"{run.step:06d}.png", twin, held_out, library)

    run.train(lambda step: loss_at(step, vae, library, plan), report)
    twin = build(plan)
    twin.load_state_dict(run.averaged())
    level(twin, library, plan)
    checkpoint.save(
        folder / "final.pt", {"step": run.step, "seconds": run.seconds, "scale": 1.0, "vae": twin.state_dict()}
    )


@torch.no_grad()
def level(vae: AutoencoderKL, library: Library, plan: Plan) -> None:
    """Change the autoencoder in place so that each channel of its latents has mean 0 and deviation 1.

    Two 1×1 convolutions carry the change, z' = (z − m) / s after the encoder and z = s z' + m before the decoder, so
    that pictures stay the same, and the UNets work on latents with the same mean and deviation as their noise.
    """
    rng = np.random.default_rng([plan.seed, 0])
    x = pixels(np.stack([patch(rng, library, 2 * PATCH) for _ in range(128)]))
    z = torch.cat([vae.encode(some).latent_dist.mode() for some in x.split(16)])  # [128, 4, 16, 16]
    m, s = z.mean((0, 2, 3)), z.std((0, 2, 3))
    before, after = vae.quant_conv, vae.post_quant_conv
    before.weight[:4] /= s.view(4, 1, 1, 1)
    before.bias[:4] = (before.bias[:4] - m) / s
    after.bias += after.weight[:, :, 0, 0] @ m
    after.weight *= s.view(1, 4, 1, 1)


def load(plan: Plan) -> tuple[AutoencoderKL, str]:
    """Return (the finished autoencoder, its fingerprint)."""
    vae = build(plan)
    weights = checkpoint.load(plan.work / "vae" / "final.pt")["vae"]
    vae.load_state_dict(weights)
    point(vae)
    vae.to(plan.device, memory_format=torch.channels_last)  # twice as fast with AMX and on a GPU
    return vae.eval().requires_grad_(False), checkpoint.fingerprint(weights)


def scale(plan: Plan) -> float:
    """Return the factor that scales latents to unit deviation."""
    return checkpoint.load(plan.work / "vae" / "final.pt")["scale"]


def adopt(folder: Path, plan: Plan) -> None:
    """Use the autoencoder of a finished model in diffusers' layout, if the work folder has none."""
    path = plan.work / "vae" / "final.pt"
    if path.exists():
        return
    model = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    checkpoint.save(
        path,
        {"step": plan.vae_steps, "seconds": 0.0, "vae": model.state_dict(), "scale": model.config.scaling_factor},
    )
