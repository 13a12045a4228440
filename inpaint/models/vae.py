"""Encode pixels to latents and decode them; switch to float32 when half precision gives NaN."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import ModelError

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, AutoencoderTiny

NOTE = "The VAE produced invalid numbers in half precision and now runs in float32."


class Autoencoder:
    """A VAE that switches to float32 when half precision overflows.

    read   dtype -> the network, read from its file
    notes  remarks for the report
    """

    def __init__(self, read: Callable[[torch.dtype], AutoencoderKL | AutoencoderTiny], dtype: torch.dtype):
        self.read = read
        self.notes: list[str] = []
        self.network = self._read(dtype)

    @torch.no_grad()
    def encode(self, pixels: Tensor, noise: Tensor | None) -> Tensor:
        """Encode [B, 3, H, W] in [-1, 1] to latents [B, c, h, w], float32: the mode, or with noise a sample."""
        found = self.network.encode(pixels.to(self.dtype))
        if hasattr(found, "latents"):  # TAESD has no spread
            z = found.latents
        else:
            posterior = found.latent_dist
            z = posterior.mode() if noise is None else posterior.mean + posterior.std * noise.to(pixels.device)
        return ((z - self.shift) * self.network.config.scaling_factor).float()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Decode latents [B, c, h, w] to pixels [B, 3, H, W], float32."""
        z = latents.to(self.dtype) / self.network.config.scaling_factor + self.shift
        return self.network.decode(z).sample.float()

    @property
    def shift(self) -> float:
        """Return the mean of the latents, which is taken off them; 0 for most VAEs."""
        return self.network.config.get("shift_factor") or 0.0

    @property
    def factor(self) -> int:
        """Return how many pixels' side a latent cell has."""
        return 2 ** (len(self.network.config.block_out_channels) - 1)

    @property
    def channels(self) -> int:
        """Return the number of channels of a latent."""
        return int(self.network.config.latent_channels)

    @property
    def dtype(self) -> torch.dtype:
        return next(self.network.parameters()).dtype

    def widen(self) -> bool:
        """Read the weights again in float32 and use them from now on; return False if they were float32 already."""
        if self.dtype == torch.float32:
            return False
        self.network = self._read(torch.float32)
        self.notes.append(NOTE)
        return True

    def _read(self, dtype: torch.dtype) -> Any:
        return self.read(dtype).requires_grad_(False).to(memory_format=torch.channels_last)


def finite(output: Tensor) -> Tensor:
    """Return the VAE's output; raise ModelError if it holds NaN or infinity."""
    if not output.isfinite().all():
        raise ModelError("The VAE produced invalid numbers, even in float32.", "Try another VAE or model.")
    return output
