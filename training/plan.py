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
    vae_steps: int = 30_000
    vae_batch: int = 10  # patches of 64 px; many small steps beat few large ones early on
    vae_final: float = 0.85  # from this share of the steps on: patches of 128 px, for the attention's sake

    # Cached scenes; 128 px while the words are learnt, 256 px, the working size, at the end
    scenes: int = 65_536
    scenes_large: int = 16_384
    shard: int = 256
    size: int = 128

    # Text encoder and the two UNets
    vocabulary: int = 4_096
    text_width: int = 192
    text_layers: int = 3
    channels: tuple[int, ...] = (64, 128, 192)
    base_steps: int = 24_000
    inpaint_steps: int = 16_000
    batch: int = 32
    large_from: float = 0.75  # the last quarter of each stage at twice the size, with a quarter of the batch

    # Habits
    save_every: int = 250
    log_every: int = 50
    sheet_every: int = 1_000
