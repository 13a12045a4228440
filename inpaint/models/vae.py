"""Pixels to latents and back, never a black picture."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import ModelError

NOTE = "The VAE produced no valid numbers in half precision and now runs in float32."


class Autoencoder:
    """A VAE that goes over to float32 when half precision overflows.

    read  dtype -> the network, from its file;  notes  what there is to say about it
    """

    def __init__(self, read: Callable, dtype: torch.dtype):
        self.read, self.notes = read, []
        self.network = self._read(dtype)

    @torch.no_grad()
    def encode(self, pixels: Tensor, noise: Tensor | None) -> Tensor:
        """[B, 3, H, W] in [-1, 1] -> scaled latents [B, 4, h, w], float32: the posterior's mode, or a sample."""
        posterior = self.network.encode(pixels.to(self.dtype)).latent_dist
        z = posterior.mode() if noise is None else posterior.mean + posterior.std * noise.to(pixels.device)
        return (z * self.network.config.scaling_factor).float()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """[B, 4, h, w] -> [B, 3, H, W], float32"""
        return self.network.decode(latents.to(self.dtype) / self.network.config.scaling_factor).sample.float()

    @property
    def dtype(self) -> torch.dtype:
        return next(self.network.parameters()).dtype

    def widen(self) -> bool:
        """From now on in float32, the weights read anew from their file; False if it was so already."""
        if self.dtype == torch.float32:
            return False
        self.network = self._read(torch.float32)
        self.notes.append(NOTE)
        return True

    def _read(self, dtype: torch.dtype):
        return self.read(dtype).requires_grad_(False).to(memory_format=torch.channels_last)


def finite(found: Tensor) -> Tensor:
    """The same, or ModelError if any of it is no number."""
    if not found.isfinite().all():
        raise ModelError("The VAE produced no valid numbers, not even in float32.", "Try another VAE or model.")
    return found
