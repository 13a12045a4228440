"""Set every size and budget of a training run, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True, slots=True)
class Plan:
    """The sizes and budgets of a training run; tests use tiny ones."""

    work: Path
    photos: Path
    seed: int = 7
    device: str = "cpu"
    states: Path | None = None  # folder of small states to continue from, see states.py
    out: Path | None = None  # folder for the small states of this run

    # Autoencoder: 8× down, 4 latent channels
    vae_channels: tuple[int, ...] = (16, 32, 64, 128)
    vae_steps: int = 22_800
    vae_batch: int = 10  # patches of 64 px; early on, many small steps teach more than few large ones
    vae_final: float = 0.85  # from this share of the steps on, patches have 128 px, to train the attention

    # Cached scenes, which look like close-ups of holes at the model's working size
    scenes: int = 10_240
    shard: int = 256
    size: int = 256
    frames: tuple[tuple[int, int], ...] = ((256, 256),) * 14 + ((320, 192), (192, 320)) * 3  # width, height; in turn
    grounds: int = 96  # in a table that scenes are composed from; each shard has its own tables
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
    stride: int = 1  # steps made at once, in one larger batch
    compile: bool = False  # try torch.compile, and keep it if it is faster
    layout: str = "auto"  # or the UNet's memory format and attention: "plain-plain", "last-fused" …
    fresh: int = 0  # new scenes in each step; 0 makes all scenes once and caches them on disk
    pool: int = 8_192  # how many scenes are kept to be used again, if new ones are made

    # Saving and logging
    save_seconds: float = 240
    log_every: int = 50
    sheet_every: int = 1_000

    def autocast(self) -> torch.autocast:
        """Use bfloat16 for products and convolutions, float32 for the rest, inside the block."""
        return torch.autocast(self.device, torch.bfloat16)
