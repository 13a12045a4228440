"""Find out in one pass whether a UNet predicts v or eps, if its file does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

SIDE, TOKENS = 8, 77  # cells of the latent, length of the text
SHARE = 0.4  # a prediction that holds this share of x or more is eps


@torch.no_grad()
def predicts_v(network: UNet2DConditionModel, timesteps: int = 1000) -> bool:
    """Return whether a UNet predicts v rather than eps.

    At the last timestep x is almost pure noise.  There eps is x itself, while v = √ᾱ eps - √(1-ᾱ) x0 holds only √ᾱ =
    0.07 of it, so the share of x in one prediction decides.  For the built-in model, which predicts v, the share is
    0.02 to 0.08.
    """
    config, generator = network.config, torch.Generator().manual_seed(0)
    x = torch.randn(1, config.in_channels, SIDE, SIDE, generator=generator)
    x[:, 4:5], x[:, 5:] = 1, 0  # for a 9-channel UNet: everything is hole
    text = torch.zeros(1, TOKENS, config.cross_attention_dim)
    out, noise = network(x, timesteps - 1, encoder_hidden_states=text).sample, x[:, :4]
    return bool((out * noise).sum() < SHARE * noise.square().sum())
