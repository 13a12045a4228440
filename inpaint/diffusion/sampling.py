"""The article in one page: noise, the DDIM step, two ways to mind the mask, one loop.

    x0  clean latent          x    the latent at noise level t
    eps predicted noise       alphas_cumprod  ᾱ, cumulative product of the alphas

A latent is [B, 4, h, w] with h = H/8, w = W/8.  A hole is [B, 1, h, w], 1 = repaint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor


class DDIM:
    """Denoising diffusion implicit models (Song et al. 2021, arXiv 2010.02502, eq. 12).

    alphas_cumprod [T], kept as Python floats so that no device or dtype can round it; timesteps descend.
    `noise()` gives a fresh [B, 4, h, w] for each step when eta > 0.
    """

    def __init__(
        self,
        alphas_cumprod: Tensor,
        timesteps: list[int],
        stride: int,
        eta: float = 0.0,
        noise: Callable[[], Tensor] | None = None,
    ):
        self.abar = alphas_cumprod.double().tolist()
        self.timesteps, self.stride, self.eta, self.noise = timesteps, stride, eta, noise
        self.init_noise_sigma = 1.0

    def q_sample(self, x0: Tensor, t: int, noise: Tensor) -> Tensor:
        """x_t = √ᾱ_t x0 + √(1-ᾱ_t) noise"""
        a_t = self.abar[t]
        return a_t**0.5 * x0 + (1 - a_t) ** 0.5 * noise

    def scale(self, x: Tensor, t: int) -> Tensor:
        """What the UNet expects to see; the identity for DDIM."""
        return x

    def step(self, x: Tensor, eps: Tensor, t: int) -> tuple[Tensor, Tensor]:
        """x_t -> (x_{t-1}, pred_x0)"""
        a_t, a_prev = self.abar[t], self.abar[max(t - self.stride, 0)]
        sigma = self.eta * ((1 - a_prev) / (1 - a_t) * (1 - a_t / a_prev)) ** 0.5

        pred_x0 = (x - (1 - a_t) ** 0.5 * eps) / a_t**0.5
        dir_xt = (1 - a_prev - sigma**2) ** 0.5 * eps
        x_prev = a_prev**0.5 * pred_x0 + dir_xt
        if sigma:
            x_prev = x_prev + sigma * self.noise()
        return x_prev, pred_x0


class Strategy:
    """The four places a mask can enter the loop.  A subclass fills in only the ones it needs."""

    def blend(self, x: Tensor, t: int) -> Tensor:
        """Before the UNet looks: [B, 4, h, w] -> [B, 4, h, w]."""
        return x

    def unet_input(self, x: Tensor, t: int) -> Tensor:
        """What the UNet is shown: [B, 4, h, w] -> [B, 4 or 9, h, w]."""
        return x

    def settle(self, eps: Tensor, t: int) -> Tensor:
        """After the UNet spoke: [B, 4, h, w] -> [B, 4, h, w]."""
        return eps

    def finish(self, x: Tensor) -> Tensor:
        """After the last step, before decoding: [B, 4, h, w] -> [B, 4, h, w]."""
        return x


class MaskedBase(Strategy):
    """Any UNet.  What must stay is overwritten by the original, noised to level t.

    x0 [B, 4, h, w]; `hole(t)` -> [B, 1, h, w], the same at every t for a hard mask, growing as t falls for a
    soft one (Differential Diffusion, arXiv 2306.00950); `noise()` -> [B, 4, h, w], one fixed tensor or fresh
    draws as in the article.  `two_sided` also replaces pred_x0: outside the hole the noise is known, since we
    put it there ourselves, so eps is set to it.
    """

    def __init__(
        self,
        x0: Tensor,
        hole: Callable[[int], Tensor],
        q_sample: Callable[[Tensor, int, Tensor], Tensor],
        noise: Callable[[], Tensor],
        two_sided: bool = True,
    ):
        self.x0, self.hole, self.q_sample, self.noise, self.two_sided = x0, hole, q_sample, noise, two_sided

    def blend(self, x: Tensor, t: int) -> Tensor:
        self.known = self.noise()
        x_orig, keep = self.q_sample(self.x0, t, self.known), 1 - self.hole(t)
        return x_orig * keep + (1 - keep) * x

    def settle(self, eps: Tensor, t: int) -> Tensor:
        if not self.two_sided:
            return eps
        keep = 1 - self.hole(t)
        return self.known * keep + (1 - keep) * eps

    def finish(self, x: Tensor) -> Tensor:
        keep = 1 - self.hole(0)
        return self.x0 * keep + (1 - keep) * x


class InpaintUNet(Strategy):
    """The trained 9-channel UNet.  It is shown the hole and the picture with the hole cut out.

    `context(t)` -> [1, 1 + 4, h, w], hole first, the same for every image.  With a `background` (a MaskedBase) what
    must stay is replaced at every step as well, which stops the colour drift outside the hole.
    """

    def __init__(self, context: Callable[[int], Tensor], background: Strategy | None = None):
        self.context = context
        background = background or Strategy()
        self.blend, self.settle, self.finish = background.blend, background.settle, background.finish

    def unet_input(self, x: Tensor, t: int) -> Tensor:
        return torch.cat([x, self.context(t).expand(len(x), -1, -1, -1)], dim=1)  # [B, 4 + 1 + 4, h, w]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the walk: `index` of `total`, timestep `t`, and two latents [B, 4, h, w]."""

    index: int
    total: int
    t: int
    x: Tensor  # after the step
    pred_x0: Tensor  # the clean picture as the UNet sees it now


def guided(unet, x: Tensor, t: int, text: Tensor, w: float, rescale: float = 0.0) -> Tensor:
    """eps(none) + w (eps(text) - eps(none)), Ho & Salimans 2022; text [2B, n, d], the unconditional half first.

    One call: the UNet is given x [B, c, h, w] once and answers for each of the 2B texts, so it need not compare or
    compute twice what the halves share.  With w = 1 it is given the conditional half only.  `rescale` pulls the
    result's spread back towards the conditional one's (Lin et al. 2023, arXiv 2305.08891, eq. 15-16).
    """
    if w == 1:
        return unet(x, t, text.chunk(2)[1])
    none, cond = unet(x, t, text).chunk(2)
    eps = none + w * (cond - none)
    if rescale:
        spread = cond.std((1, 2, 3), keepdim=True) / eps.std((1, 2, 3), keepdim=True)
        eps = eps * (rescale * spread + 1 - rescale)
    return eps


@torch.no_grad()
def denoise(
    unet,
    text: Tensor,
    strategy: Strategy,
    sampler,
    x: Tensor,
    w: float = 1.0,
    rescale: float = 0.0,
    interval: tuple[float, float] = (0, inf),
) -> Iterator[Step]:
    """Walk x to a clean latent, yielding every step.  Close the iterator to cancel.

    Guidance is on while t lies in the interval, both ends included (Kynkäänniemi et al. 2024, arXiv 2404.07724).
    """
    for i, t in enumerate(sampler.timesteps):
        x = strategy.blend(x, t)  # the original, noised to t, outside the hole
        pull = w if interval[0] <= t <= interval[1] else 1
        eps = guided(unet, strategy.unet_input(sampler.scale(x, t), t), t, text, pull, rescale)
        x, pred_x0 = sampler.step(x, strategy.settle(eps, t), t)  # p_sample_ddim
        yield Step(i, len(sampler.timesteps), int(t), x, pred_x0)  # img_callback(pred_x0, i)
