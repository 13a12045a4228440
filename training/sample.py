"""A small DDIM sampler, for looking at what was learnt so far."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from . import tokenizer

STEPS = 20


def scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise levels; the UNets predict the velocity."""
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
    """All that it takes to draw."""

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    text: CLIPTextModel
    tokens: CLIPTokenizer
    scale: float

    @torch.no_grad()
    def draw(
        self,
        prompts: list[str],
        *,
        guidance: float,
        seed: int,
        size: int,
        pictures: Tensor | None = None,
        hole: Tensor | None = None,
    ) -> Tensor:
        """[B, 3, size, size] in [-1, 1]: each prompt drawn, by a 9-channel UNet into the hole of its picture."""
        noise = torch.Generator().manual_seed(seed)
        x = torch.randn(len(prompts), 4, size // 8, size // 8, generator=noise)  # [B, 4, h, w]
        words = self.text(tokenizer.encode(self.tokens, prompts + [""] * len(prompts))).last_hidden_state
        around = self.around(pictures, hole) if self.unet.config.in_channels == 9 else None
        steps = scheduler()
        steps.set_timesteps(STEPS)
        for t in steps.timesteps:
            wide = x if around is None else torch.cat([x, around], 1)
            v, empty = self.unet(torch.cat([wide, wide]), t, words).sample.chunk(2)
            x = steps.step(empty + guidance * (v - empty), t, x).prev_sample
        y = self.vae.decode(x / self.scale).sample.clamp(-1, 1)
        return y if around is None else torch.where(hole, y, pictures)

    def around(self, pictures: Tensor, hole: Tensor) -> Tensor:
        """[B, 5, h, w]: the hole's cells, then the latents of the picture with its hole grey."""
        masked = self.vae.encode(pictures * ~hole).latent_dist.mode() * self.scale
        return torch.cat([torch.nn.functional.max_pool2d(hole.float(), 8), masked], 1)
