"""Every size and budget of a training run, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained, how large and how long; a test passes a tiny one."""

    work: Path
    photos: Path
    seed: int = 7

    # Autoencoder: 8× down, 4 latent channels
    vae_channels: tuple[int, ...] = (16, 32, 64, 128)
    vae_steps: int = 22_800
    vae_batch: int = 10  # patches of 64 px; many small steps beat few large ones early on
    vae_final: float = 0.85  # from this share of the steps on: patches of 128 px, for the attention's sake

    # Cached scenes: as a close-up of a hole shows it, at the size that the model works at
    scenes: int = 24_576
    shard: int = 256
    size: int = 128

    # Text encoder and the two UNets
    vocabulary: int = 4_320
    text_width: int = 192
    text_layers: int = 3
    text_steps: int = 1_500
    text_batch: int = 128
    channels: tuple[int, ...] = (64, 128, 192)
    first_steps: int = 600
    inpaint_steps: int = 7_500
    base_steps: int = 11_000
    batch: int = 32
    ground_from: float = 0.75  # of the 9-channel UNet's steps; then half a batch are holes with nothing in them

    # Habits
    save_every: int = 250
    log_every: int = 50
    sheet_every: int = 500
