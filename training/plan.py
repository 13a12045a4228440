"""Set every size and budget of a training run, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True, slots=True)
class Plan:
    """The sizes and budgets of a training; a test passes a tiny one."""

    work: Path
    photos: Path
    seed: int = 7
    device: str = "cpu"
    states: Path | None = None  # folder of small states to go on from, see states.py
    out: Path | None = None  # folder for small states of what is trained

    # Autoencoder: 8× down, 4 latent channels
    vae_channels: tuple[int, ...] = (16, 32, 64, 128)
    vae_steps: int = 22_800
    vae_batch: int = 10  # patches of 64 px; many small steps beat few large ones early on
    vae_final: float = 0.85  # from this share of the steps on: patches of 128 px, for the attention's sake

    # Cached scenes: as a close-up of a hole shows it, at the size that the model works at
    scenes: int = 10_240
    shard: int = 256
    size: int = 256
    frames: tuple[tuple[int, int], ...] = ((256, 256),) * 14 + ((320, 192), (192, 320)) * 3  # width, height; in turn
    grounds: int = 96  # of the tables of which scenes are composed; each shard has its own
    holes: int = 128
    orders: int = 512

    # Text encoder and the two UNets
    vocabulary: int = 4_320
    text_width: int = 320
    text_layers: int = 4
    text_steps: int = 3_000
    text_batch: int = 128
    channels: tuple[int, ...] = (64, 128, 192)
    first_steps: int = 600
    inpaint_steps: int = 100_000
    base_steps: int = 100_000
    batch: int = 16  # scenes of a step
    stride: int = 1  # steps at once, in one larger batch
    compile: bool = False  # try torch.compile, and keep it where it is quicker
    layout: str = "auto"  # or, of the UNet in memory: "plain-plain", "last-fused" …
    fresh: int = 0  # scenes made anew in each step; with none, all are made once and kept on disk
    pool: int = 8_192  # … of which so many are kept to be met again

    # Habits
    save_seconds: float = 240
    log_every: int = 50
    sheet_every: int = 1_000

    def autocast(self) -> torch.autocast:
        """Use bfloat16 for products and convolutions, float32 for the rest, inside the block."""
        return torch.autocast(self.device, torch.bfloat16)
