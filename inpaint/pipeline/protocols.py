"""Declare the interface of a model, so that a loaded one, the toy and those of tests all fit."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from ..diffusion.conditioning import Text
from ..diffusion.presets import FewSteps
from ..diffusion.protocols import Denoiser


class Model(Protocol):
    """UNets that share a VAE and a text encoder; latents are float32 outside the four calls.

    side           working size in pixels that it was trained for
    factor         pixels per latent cell, across and down
    channels       of a latent
    grid           the sides of a working size are multiples of this many pixels
    methods        which of base (4-channel UNet) and inpaint (9-channel UNet) it has
    fill_strength  without a prompt, the strength of the walk over a hole filled with patches; 0 keeps the fill as it
                   is, 1 leaves strength and fill to the request
    ground         whether the ground of a filled hole is kept around what is drawn into it
    few_steps      what its name or a LoRA's says about a preset for few steps; None if nothing
    notes          remarks for the report, such as a switch to a wider dtype
    """

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def side(self) -> int: ...
    @property
    def factor(self) -> int: ...
    @property
    def grid(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def methods(self) -> tuple[str, ...]: ...
    @property
    def predicts(self) -> dict[str, str]: ...
    @property
    def quality(self) -> str: ...
    @property
    def guidance(self) -> dict[str, float]: ...
    @property
    def eta(self) -> dict[str, float]: ...
    @property
    def fill_strength(self) -> float: ...
    @property
    def ground(self) -> bool: ...
    @property
    def few_steps(self) -> FewSteps | None: ...
    @property
    def notes(self) -> list[str]: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def alphas_cumprod(self) -> Tensor: ...
    @property
    def schedule(self) -> dict[str, Any]: ...

    def unet(self, method: str, fast: bool = False, guidance: float | None = None) -> Denoiser:
        """Return the UNet of a method for one walk; with `fast` it reuses features from step to step.

        guidance  the scale, for a UNet that embeds it
        """
        ...

    def embeds_guidance(self, method: str) -> bool:
        """Return whether the UNet takes the guidance scale as an input, and so needs only one call."""
        ...

    def embed(
        self, prompts: list[str], *, clip_skip: int = 0, layer: str = "last", chunks: int | None = None
    ) -> Text:
        """Embed prompts: one row each, [B, n, d] or several tensors."""
        ...

    def context(self, hole: Tensor, painted: Tensor, masked: Tensor) -> Tensor:
        """Return the inputs of an inpainting network beside x, [1, k, h, w].

        hole [1, 1, h, w], 1 = repaint;  painted [1, 1, H, W], the same in pixels;  masked [1, c, h, w], the picture
        without them
        """
        ...

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Encode [B, 3, H, W] in [-1, 1] to [B, 4, h, w]: the posterior's mode, or with noise a sample."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Decode [B, 4, h, w] to [B, 3, H, W] in [-1, 1]."""
        ...

    def preview(self, latents: Tensor) -> Tensor | None:
        """Decode [1, c, h, w] quickly and roughly to [1, 3, H, W]; None if there is nothing for it."""
        ...

    def widen_unet(self) -> bool:
        """Read the UNet again in a wider dtype, after NaN or infinity; return False if it has the widest."""
        ...

    def free(self) -> None:
        """Free memory that is only cached on the device."""
        ...
