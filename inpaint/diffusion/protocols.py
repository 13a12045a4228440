"""Declare the interfaces of the denoising loop: the network it calls, the sampler of its steps, what it yields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from .conditioning import Text

Draw = Callable[[], Tensor]  # -> noise, [B, 4, h, w]
HoleAt = Callable[[float], Tensor]  # t -> [B, 1, h, w]
Memory = tuple[Tensor, ...]  # what a multistep sampler remembers of the steps before, [B, 4, h, w] each


class Denoiser(Protocol):
    """A UNet or a transformer: (x [B, c, h, w], t, text of N rows) -> its prediction [N, 4, h, w], float32.

    N is a multiple of B; c is 4, or 9 for an inpainting UNet: latents of other models have more channels.
    """

    def __call__(self, x: Tensor, t: float, text: Text, /) -> Tensor: ...


class Sampler(Protocol):
    """The steps from noise to a picture: DDIM, a flow, or the solver of one of diffusers' schedulers.

    init_noise_sigma  what pure noise is multiplied by at the start
    """

    init_noise_sigma: float

    @property
    def timesteps(self) -> list: ...

    def q_sample(self, x0: Tensor, t, noise: Tensor) -> Tensor: ...

    def scale(self, x: Tensor, t) -> Tensor: ...

    def step(self, x: Tensor, out: Tensor, t) -> tuple[Tensor, Tensor]: ...

    def target(self, x0: Tensor, noise: Tensor, t) -> Tensor: ...

    def start_at(self, index: int, memory: Memory = ()) -> None: ...

    @property
    def memory(self) -> Memory: ...


class Unscaled:
    """The common base of DDIM and flows: the network's input is x_t unscaled, and so is the noise at the start."""

    init_noise_sigma = 1.0
    memory: Memory = ()
    timesteps: list

    def scale(self, x: Tensor, t: float) -> Tensor:
        """Return x_t as the network expects it."""
        return x

    def start_at(self, index: int, memory: Memory = ()) -> None:
        """Skip the first `index` timesteps."""
        self.timesteps = self.timesteps[index:]


@dataclass(frozen=True, slots=True)
class LatentStep:
    """One step of the walk: `index` of `total`, timestep `t`, and latents [B, c, h, w]."""

    index: int
    total: int
    t: float
    x: Tensor  # after the step
    pred_x0: Tensor  # the clean picture as the network sees it now
    seen: Tensor  # the network's input, such as √ᾱ_t pred_x0 + √(1-ᾱ_t) eps
    memory: Memory  # the sampler's, after the step


def whole(t: float) -> float:
    """Return a timestep as an int if it is a whole number: an index of the alphas."""
    return t if t % 1 else int(t)
