"""Declare the interfaces of the denoising loop: the network it calls and the sampler that makes its steps."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Denoiser(Protocol):
    """A UNet: (x [B, 4 | 9, h, w], t, text [N, n, d]) -> eps, v or x0 [N, 4, h, w], float32; N is a multiple of B."""

    def __call__(self, x: Tensor, t: float, text: Tensor, /) -> Tensor: ...


class Sampler(Protocol):
    """The steps from noise to a picture: DDIM, or the solver of one of diffusers' schedulers.

    init_noise_sigma  what pure noise is multiplied by at the start
    """

    init_noise_sigma: float

    @property
    def timesteps(self) -> list: ...

    def q_sample(self, x0: Tensor, t, noise: Tensor) -> Tensor: ...

    def scale(self, x: Tensor, t) -> Tensor: ...

    def step(self, x: Tensor, out: Tensor, t) -> tuple[Tensor, Tensor]: ...

    def target(self, x0: Tensor, noise: Tensor, t) -> Tensor: ...

    def start_at(self, index: int) -> None: ...
