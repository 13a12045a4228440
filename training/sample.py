"""Sample with a small DDIM, to show what has been learnt so far."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor

STEPS = 20


def scheduler() -> DDIMScheduler:
    """Return Stable Diffusion's noise levels; the UNets predict the velocity."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
    )


@dataclass(frozen=True, slots=True)
class Painter:
    """The networks needed to draw, and the scale of the latents."""

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    scale: float

    @property
    def masked(self) -> bool:
        """Return whether the UNet also sees the hole and the picture with a grey hole, in five more channels."""
        return self.unet.config.in_channels == 9

    @torch.no_grad()
    def draw(
        self, words: Tensor, empty: Tensor, *, guidance: float, seed: int, pictures: Tensor, hole: Tensor
    ) -> Tensor:
        """Draw what the words [B, L, d] describe into the hole of each picture: [B, 3, H, W] in [-1, 1].

        empty  the words for background alone

        With a 4-channel UNet the part outside the hole is replaced by the picture in every step.
        """
        b, _, h, w = pictures.shape
        noise = torch.Generator().manual_seed(seed)
        x = torch.randn(b, 4, h // 8, w // 8, generator=noise).to(pictures.device)  # [B, 4, h, w]
        first, cells = x, torch.nn.functional.max_pool2d(hole.float(), 8)  # [B, 1, h, w]
        known = self.vae.encode(pictures * ~hole if self.masked else pictures).latent_dist.mode() * self.scale
        steps = scheduler()
        steps.set_timesteps(STEPS)
        for t in steps.timesteps:
            if not self.masked:
                a = steps.alphas_cumprod[t]
                x = torch.where(cells > 0, x, a.sqrt() * known + (1 - a).sqrt() * first)
            wide = torch.cat([x, cells, known], 1) if self.masked else x
            v, bare = self.unet(torch.cat([wide, wide]), t, torch.cat([words, empty])).sample.chunk(2)
            x = steps.step(bare + guidance * (v - bare), t, x).prev_sample
        y = self.vae.decode(x / self.scale).sample.clamp(-1, 1)
        return torch.where(hole, y, pictures)
