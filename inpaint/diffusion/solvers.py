"""Implement the steps of the other samplers: each a few lines of its paper, with coefficients as Python floats.

Every solver is given its noise levels (alpha, sigma), x_t = alpha x0 + sigma eps: one for each timestep and (1, 0)
for the end.  Only latents are on the device, so no step waits for the device and no dtype rounds a coefficient.
"""

from __future__ import annotations

from collections.abc import Callable
from math import expm1, floor, inf, log, sqrt

from torch import Tensor

from . import prediction
from .protocols import Memory

Level = tuple[float, float]


def _no_noise() -> Tensor:
    raise ValueError("this sampler adds noise in its steps: pass it a `noise` function")


class Solver:
    """Walk the timesteps `every`, descending; `levels` has one entry more.

    init_noise_sigma  what pure noise is multiplied by at the start
    noise             draws a fresh [B, 4, h, w] for the samplers that add noise
    predicts          what the UNet predicts: epsilon, v_prediction or sample
    memory            what the next step needs to know of those before; empty at the start, and in one-step methods
    """

    memory: Memory = ()

    def __init__(
        self,
        every: list[float],
        levels: list[Level],
        init_noise_sigma: float = 1.0,
        noise: Callable[[], Tensor] | None = None,
        predicts: str = "epsilon",
    ):
        self.every, self.levels, self.init_noise_sigma = every, levels, init_noise_sigma
        self.noise, self.predicts = noise or _no_noise, predicts
        self.first = self.index = 0  # of the walk, of the next step

    @property
    def timesteps(self) -> list[float]:
        """Return the timesteps still to walk, descending."""
        return self.every[self.first :]

    def start_at(self, index: int, memory: Memory = ()) -> None:
        """Skip the first `index` timesteps; `memory` is the one after them, without which a solver begins anew."""
        self.first = self.index = index
        self.memory = memory

    def q_sample(self, x0: Tensor, t: float, noise: Tensor) -> Tensor:
        """Return x_t = alpha x0 + sigma noise."""
        alpha, sigma = self.level(t)
        return alpha * x0 + sigma * noise

    def scale(self, x: Tensor, t: float) -> Tensor:
        """Scale x_t to what the UNet expects: alpha and sigma on the unit circle, as in training."""
        alpha, sigma = self.level(t)
        return x / sqrt(alpha**2 + sigma**2)

    def step(self, x: Tensor, out: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """Return (x_{t-1}, pred_x0) for x_t."""
        alpha, sigma = self.level(t)
        square = alpha**2 + sigma**2
        pred_x0, eps = prediction.x0_and_eps(self.predicts, out, x / sqrt(square), alpha**2 / square)
        x = self.update(x, eps, pred_x0)
        self.index += 1
        return x, pred_x0

    def target(self, x0: Tensor, noise: Tensor, t: float) -> Tensor:
        """Return what a perfect UNet predicts where x_t is x0 noised with `noise`."""
        alpha, sigma = self.level(t)
        return prediction.target(self.predicts, x0, noise, alpha**2 / (alpha**2 + sigma**2))

    def update(self, x: Tensor, eps: Tensor, pred_x0: Tensor) -> Tensor:
        """Return x at the next level."""
        raise NotImplementedError

    def level(self, t: float) -> Level:
        """Return (alpha, sigma) at t: those of the current step if it is at t, since Karras' timesteps may repeat."""
        here = min(self.index, len(self.every) - 1)
        return self.levels[here if self.every[here] == t else self.every.index(t)]

    def log_snr(self, index: int) -> float:
        """Return lambda = log(alpha / sigma) of a level."""
        alpha, sigma = self.levels[index]
        return log(alpha / sigma) if sigma else inf


class Euler(Solver):
    """Euler's method on the probability-flow ODE (Karras et al. 2022, arXiv 2206.00364, algorithm 1); alpha is 1."""

    def update(self, x: Tensor, eps: Tensor, pred_x0: Tensor) -> Tensor:
        return pred_x0 + self.levels[self.index + 1][1] * eps  # x + (after - sigma) eps without cancellation


class EulerAncestral(Solver):
    """Euler's method to a lower level, then fresh noise (k-diffusion's ancestral sampling); alpha is 1."""

    def update(self, x: Tensor, eps: Tensor, pred_x0: Tensor) -> Tensor:
        (_, sigma), (_, after) = self.levels[self.index : self.index + 2]
        up = sqrt(after**2 * (sigma**2 - after**2) / sigma**2)
        x = pred_x0 + sqrt(after**2 - up**2) * eps
        return x + up * self.noise() if up else x


class DDPM(Solver):
    """Sample from q(x_{t-1} | x_t, x0) (Ho et al. 2020, arXiv 2006.11239, eq. 7)."""

    def update(self, x: Tensor, eps: Tensor, pred_x0: Tensor) -> Tensor:
        (alpha, sigma), (a_next, s_next) = self.levels[self.index : self.index + 2]
        variance = (s_next / sigma) ** 2 * (1 - (alpha / a_next) ** 2)
        x = a_next * pred_x0 + sqrt(s_next**2 - variance) * eps
        return x + sqrt(variance) * self.noise() if variance else x


class LCM(Solver):
    """Jump to x0, then add noise to the next level: latent consistency (Luo et al. 2023, arXiv 2310.04378)."""

    SIGMA_DATA, TIMESTEP_SCALING = 0.5, 10

    def update(self, x: Tensor, eps: Tensor, pred_x0: Tensor) -> Tensor:
        t = self.every[self.index] * self.TIMESTEP_SCALING
        norm = t**2 + self.SIGMA_DATA**2
        denoised = t / sqrt(norm) * pred_x0 + self.SIGMA_DATA**2 / norm * x
        alpha, sigma = self.levels[self.index + 1]
        return alpha * denoised + sigma * self.noise() if sigma else denoised


class TCD(Solver):
    """Predict x at a level below the next, then add noise up to it: trajectory consistency.

    Zheng et al. 2024, arXiv 2402.19159, algorithm 4.  `eta` is their gamma: 0 adds no noise, 1 goes by x0; abar is
    ᾱ at all T timesteps.
    """

    eta, abar = 0.3, list[float]()

    def update(self, x: Tensor, eps: Tensor, pred_x0: Tensor) -> Tensor:
        after = int(self.every[self.index + 1]) if self.index + 1 < len(self.every) else 0
        a_next, a = self.abar[after], self.abar[floor(round((1 - self.eta) * after, 6))]
        x = sqrt(a) * pred_x0 + sqrt(1 - a) * eps
        return sqrt(a_next / a) * x + sqrt(1 - a_next / a) * self.noise() if self.eta and after else x


class DPMSolver2M(Solver):
    """Apply DPM-Solver++, second order, multistep, midpoint (Lu et al. 2022, arXiv 2211.01095, algorithm 2)."""

    def update(self, x: Tensor, eps: Tensor, pred_x0: Tensor) -> Tensor:
        before, self.memory = self.memory, (pred_x0,)
        (_, sigma), (a_next, s_next) = self.levels[self.index : self.index + 2]
        if not s_next:
            return pred_x0
        h, D = self.log_snr(self.index + 1) - self.log_snr(self.index), pred_x0
        if before:
            r = (self.log_snr(self.index) - self.log_snr(self.index - 1)) / h
            D = pred_x0 + (pred_x0 - before[0]) / (2 * r)
        return s_next / sigma * x - a_next * expm1(-h) * D


class UniPC(Solver):
    """Predict, then correct: UniPC of order 2, B(h) = e^h - 1 (Zhao et al. 2023, arXiv 2302.04867).

    Its memory is x before the last predictor, and pred_x0 of the last two steps.
    """

    @property
    def history(self) -> Memory:
        """Return pred_x0 of the last two steps, fewer at the start."""
        return self.memory[1:]

    def update(self, x: Tensor, eps: Tensor, pred_x0: Tensor) -> Tensor:
        if self.memory:
            x = self.correct(pred_x0)
        self.memory = x, *self.history[-1:], pred_x0
        return self.predict(x)

    def predict(self, x: Tensor) -> Tensor:
        """Return x at the next level by UniP; of first order in the first and the last step."""
        base, h = self._exponential(x, self.index, self.history[-1])
        if len(self.history) < 2 or not self.levels[self.index + 1][1]:
            return base
        slope, _ = self._slope(self.index, h)
        return base - self.levels[self.index + 1][0] * expm1(-h) * 0.5 * slope

    def correct(self, pred_x0: Tensor) -> Tensor:
        """Correct the last prediction by UniC, now that pred_x0 is known at its end."""
        base, h = self._exponential(self.memory[0], self.index - 1, self.history[-1])
        change = pred_x0 - self.history[-1]
        if len(self.history) < 2:
            residual = 0.5 * change
        else:
            slope, r = self._slope(self.index - 1, h)
            first = expm1(-h) / -h - 1
            b1, b2 = first / expm1(-h), 2 * (first / -h - 0.5) / expm1(-h)
            rho = (b1 - b2) / (1 - r)  # the solution of two equations: rho + rho' = b1, r rho + rho' = b2
            residual = rho * slope + (b1 - rho) * change
        return base - self.levels[self.index][0] * expm1(-h) * residual

    def _exponential(self, x: Tensor, index: int, pred_x0: Tensor) -> tuple[Tensor, float]:
        """Return the first-order step from level `index` to the next, and its length in lambda."""
        (_, sigma), (a_next, s_next) = self.levels[index : index + 2]
        h = self.log_snr(index + 1) - self.log_snr(index)
        return s_next / sigma * x - a_next * expm1(-h) * pred_x0, h

    def _slope(self, index: int, h: float) -> tuple[Tensor, float]:
        """Return the slope of pred_x0 per r in the step before level `index`, and r, that step's length over -h."""
        r = (self.log_snr(index - 1) - self.log_snr(index)) / h
        return (self.history[-2] - self.history[-1]) / r, r
