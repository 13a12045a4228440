"""The article in one page: noise, the step of DDIM or of a flow, two ways to keep what is not masked, one loop.

    x0  clean latent      x    the latent at noise level t       alphas_cumprod  ᾱ, cumulative product of the alphas
    eps predicted noise   out  what the UNet predicts: eps, v or x0 (prediction.py)

A latent is [B, 4, h, w] with h = H/8, w = W/8, or has 16 channels.  A hole is [B, 1, h, w], 1 = repaint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf

import torch
from torch import Tensor

from . import prediction
from .conditioning import Text
from .protocols import Denoiser, Draw, HoleAt, LatentStep, Sampler, Unscaled, whole


class DDIM(Unscaled):
    """The sampler of denoising diffusion implicit models (Song et al. 2021, arXiv 2010.02502, eq. 12).

    alphas_cumprod [T] is kept as Python floats so that no device or dtype can round it.  timesteps descend, `stride`
    apart (0: unevenly spaced).  `noise()`, [B, 4, h, w], is drawn in each step if eta > 0.
    """

    def __init__(
        self,
        alphas_cumprod: Tensor,
        timesteps: list[int],
        stride: int = 0,
        eta: float = 0.0,
        noise: Draw | None = None,
        predicts: str = "epsilon",
        final: float | None = None,
    ):
        self.abar = alphas_cumprod.double().tolist()
        self.timesteps, self.stride, self.eta, self.noise = timesteps, stride, eta, noise
        self.predicts, self.final = predicts, final or self.abar[0]

    def q_sample(self, x0: Tensor, t: int, noise: Tensor) -> Tensor:
        """Return x_t = √ᾱ_t x0 + √(1-ᾱ_t) noise."""
        a_t = self.abar[t]
        return a_t**0.5 * x0 + (1 - a_t) ** 0.5 * noise

    def step(self, x: Tensor, out: Tensor, t: int) -> tuple[Tensor, Tensor]:
        """Return (x_{t-1}, pred_x0) for x_t."""
        a_t, a_prev = self.abar[t], self.a_prev(t)
        sigma = self.eta * ((1 - a_prev) / (1 - a_t) * (1 - a_t / a_prev)) ** 0.5

        if self.predicts == "epsilon":
            eps = out
            pred_x0 = (x - (1 - a_t) ** 0.5 * eps) / a_t**0.5
        else:
            pred_x0, eps = prediction.x0_and_eps(self.predicts, out, x, a_t)
        dir_xt = (1 - a_prev - sigma**2) ** 0.5 * eps
        x_prev = a_prev**0.5 * pred_x0 + dir_xt
        if sigma and self.noise:
            x_prev = x_prev + sigma * self.noise()
        return x_prev, pred_x0

    def a_prev(self, t: int) -> float:
        """Return ᾱ of the timestep after t in the walk; `final` after the last."""
        before = t - self.stride if self.stride else next((s for s in self.timesteps if s < t), -1)
        return self.abar[before] if before >= 0 else self.final

    def target(self, x0: Tensor, noise: Tensor, t: int) -> Tensor:
        """Return what a perfect UNet predicts where x_t is x0 noised with `noise`."""
        return prediction.target(self.predicts, x0, noise, self.abar[t])


class Flow(Unscaled):
    """The sampler of a rectified flow, by Euler's method (Liu et al. 2022, arXiv 2209.03003, algorithm 1).

    The way from picture to noise is straight, x_t = (1-σ) x0 + σ noise, and the network predicts its direction,
    v = noise - x0.  `sigmas` descend, one for each step, from 1 for pure noise; a timestep is T σ.
    """

    def __init__(self, sigmas: list[float], T: int = 1000):
        self.timesteps, self.T = [T * sigma for sigma in sigmas], T

    def q_sample(self, x0: Tensor, t: float, noise: Tensor) -> Tensor:
        """Return x_t = (1-σ) x0 + σ noise."""
        return (1 - t / self.T) * x0 + t / self.T * noise

    def step(self, x: Tensor, v: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """Return (x at the next σ, pred_x0) for x_t; the last step ends at σ = 0."""
        after = next((s for s in self.timesteps if s < t), 0.0)
        return x + (after - t) / self.T * v, x - t / self.T * v

    def target(self, x0: Tensor, noise: Tensor, t: float) -> Tensor:
        """Return what a perfect network predicts where x_t is x0 noised with `noise`."""
        return noise - x0


class Strategy:
    """The four places where a mask can act on the loop.  A subclass overrides only those it needs."""

    def blend(self, x: Tensor, t: int) -> Tensor:
        """Change x before the UNet sees it: [B, 4, h, w] -> [B, 4, h, w]."""
        return x

    def unet_input(self, x: Tensor, t: int) -> Tensor:
        """Build the UNet's input: [B, 4, h, w] -> [B, 4 or 9, h, w]."""
        return x

    def correct(self, out: Tensor, t: int) -> Tensor:
        """Change what the UNet predicted: [B, 4, h, w] -> [B, 4, h, w]."""
        return out

    def restore(self, x: Tensor) -> Tensor:
        """Put back what must stay after the last step, before decoding: [B, 4, h, w] -> [B, 4, h, w]."""
        return x


class MaskedBase(Strategy):
    """Inpaint with any UNet: outside the hole x is overwritten by the original, noised to level t.

    x0 [B, 4, h, w]; `hole(t)` -> [B, 1, h, w], the same at every t for a hard mask, growing as t falls for a
    soft one (Differential Diffusion, arXiv 2306.00950); `noise()` -> [B, 4, h, w], one fixed tensor or fresh
    draws as in the article.  `two_sided` also replaces pred_x0: outside the hole both the original and its noise
    are known, so the prediction is set to the right one.
    """

    def __init__(self, x0: Tensor, hole: HoleAt, sampler: Sampler, noise: Draw, two_sided: bool = True):
        self.x0, self.hole, self.sampler, self.noise, self.two_sided = x0, hole, sampler, noise, two_sided

    def blend(self, x: Tensor, t: int) -> Tensor:
        self.known = self.noise()
        x_orig, keep = self.sampler.q_sample(self.x0, t, self.known), 1 - self.hole(t)
        return x_orig * keep + (1 - keep) * x

    def correct(self, out: Tensor, t: int) -> Tensor:
        if not self.two_sided:
            return out
        keep = 1 - self.hole(t)
        return self.sampler.target(self.x0, self.known, t) * keep + (1 - keep) * out

    def restore(self, x: Tensor) -> Tensor:
        keep = 1 - self.hole(0)
        return self.x0 * keep + (1 - keep) * x


class InpaintUNet(Strategy):
    """Inpaint with the trained 9-channel UNet, which is given the hole and the picture with the hole cut out.

    `context(t)` -> [1, 1 + 4, h, w], hole first, the same for every image.  With a `background` (a MaskedBase) the
    part outside the hole is replaced at every step as well, which stops its colours from drifting.
    """

    def __init__(self, context: Callable[[float], Tensor], background: Strategy | None = None):
        self.context = context
        background = background or Strategy()
        vars(self).update(blend=background.blend, correct=background.correct, restore=background.restore)

    def unet_input(self, x: Tensor, t: int) -> Tensor:
        context = self.context(t).expand(len(x), -1, -1, -1)  # the same for every image of a batch
        return torch.cat([x, context], dim=1)  # [B, 4 + 1 + 4, h, w]


def guided(unet: Denoiser, x: Tensor, t: float, text: Text, w: float, rescale: float = 0.0) -> Tensor:
    """Return out(none) + w (out(text) - out(none)), Ho & Salimans 2022; text has 2B rows, unconditional half first.

    The UNet is called once, with x [B, c, h, w] and all 2B texts; with w = 0 or 1, with one half of them only.
    `rescale` pulls the result's standard deviation back towards that of the conditional prediction (Lin et al. 2023,
    arXiv 2305.08891, eq. 15-16).
    """
    if w in (0, 1):
        return unet(x, t, text.chunk(2)[int(w)])
    none, cond = unet(x, t, text).chunk(2)
    out = none + w * (cond - none)
    if rescale:
        ratio = cond.std((1, 2, 3), keepdim=True) / out.std((1, 2, 3), keepdim=True)
        out = out * (rescale * ratio + 1 - rescale)
    return out


@torch.no_grad()
def denoise(
    unet: Denoiser,
    text: Text,
    strategy: Strategy,
    sampler: Sampler,
    x: Tensor,
    w: float = 1.0,
    rescale: float = 0.0,
    interval: tuple[float, float] = (0, inf),
) -> Iterator[LatentStep]:
    """Walk x to a clean latent, yielding every step.  Close the iterator to cancel.

    Guidance is on while t lies in the interval, both ends included (Kynkäänniemi et al. 2024, arXiv 2404.07724).
    """
    for i, t in enumerate(sampler.timesteps):
        x = strategy.blend(x, t)  # the original, noised to t, outside the hole
        seen, scale = sampler.scale(x, t), w if interval[0] <= t <= interval[1] else 1
        out = guided(unet, strategy.unet_input(seen, t), t, text, scale, rescale)
        x, pred_x0 = sampler.step(x, strategy.correct(out, t), t)  # p_sample_ddim
        yield LatentStep(i, len(sampler.timesteps), whole(t), x, pred_x0, seen, sampler.memory)  # img_callback
