"""A UNet that runs whole only now and then, and between with what its deep layers last said.

Deep layers draw what is coarse, and that changes slowly along a walk (Ma et al. 2023, arXiv 2312.00858).  A full step
keeps what enters the last layer of the last up block; a light step runs conv_in, that layer and conv_out: a tenth
of the time.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .forward import UNet

SPAN = (75, 0.45, 200)  # timesteps of 1000: carried so far at t = 1000, so much farther for each t below, at most
LEAD = 0.5  # how much of the features' own movement is continued


def span(t: float) -> float:
    """How far the features of a full step at t are carried: not far where it is decided what is drawn."""
    least, more, most = SPAN
    return min(most, least + more * (1000 - t))


class Reuse:
    """(x [N, c, h, w], t, text [N, n, d]) -> what the network predicts [N, 4, h, w]; one object for one walk.

    `layers` of the last up block run in a light step, 1 being the cheapest.  `span(t)` is how far below a full step's
    t the next one must lie; at 0 every step is full, and the very same as the network's own.  `run` answers a full
    step in the network's place.
    """

    def __init__(
        self,
        unet: UNet,
        span: Callable[[float], float] = span,
        layers: int = 1,
        run: Callable[[Tensor, float, Tensor], tuple[Tensor, Tensor]] | None = None,
    ):
        self.unet, self.span, self.layers = unet, span, layers
        self.run = run or (lambda x, t, text: unet(x, t, text, layers))
        self.kept: list[tuple[float, Tensor]] = []  # (t, features [N, c, h, w]) of the last two full steps

    def __call__(self, x: Tensor, t: float, text: Tensor) -> Tensor:
        if self.due(float(t), len(x)):
            return self.full(x, t, text)
        return self.unet.light(x, t, text, self.deep(float(t), len(x)), self.layers)

    def due(self, t: float, n: int) -> bool:
        """Whether a batch of n at t needs a full step: the features are too old, or not for so many."""
        if not self.kept or n > len(self.kept[-1][1]):
            return True
        last = self.kept[-1][0]
        return last - t >= self.span(last)

    def full(self, x: Tensor, t: float, text: Tensor) -> Tensor:
        """The whole network; its features are kept."""
        out, deep = self.run(x, t, text)
        before = [kept for kept in self.kept[-1:] if len(kept[1]) >= len(x)]
        self.kept = [*before, (float(t), deep)]
        return out

    def deep(self, t: float, n: int) -> Tensor:
        """[n, c, h, w]: the features of the last full step, moved on a little as they moved between the last two.

        Of a guided batch only the conditional half, which is the last, where guidance is off by now.
        """
        (before, old), (last, new) = self.kept[0], self.kept[-1]
        if before == last:
            return new[-n:]
        return torch.lerp(old[-n:], new[-n:], 1 + LEAD * (last - t) / (before - last))
