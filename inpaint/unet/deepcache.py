"""Run the whole UNet only at some steps, and reuse the features of its deep layers in between (DeepCache).

Deep layers compute coarse features, which change slowly along a walk (Ma et al. 2023, arXiv 2312.00858).  A full step
caches the input of the last layer of the last up block; a light step runs only conv_in, that layer and conv_out, in a
tenth of the time.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .forward import UNet

SPAN = (75, 0.45, 200)  # features last 75 timesteps at t = 1000, and 0.45 longer for each t below, but at most 200
LEAD = 0.5  # how far the features' own change is extrapolated


def span(t: float) -> float:
    """Return for how many timesteps below t a full step's features are used: few while the motif is forming."""
    least, more, most = SPAN
    return min(most, least + more * (1000 - t))


class DeepCache:
    """The UNet with DeepCache: (x [B, c, h, w], t, text [N, n, d]) -> prediction [N, 4, h, w], for one walk.

    span    t -> the timesteps that features of a full step at t are used for; 0 makes every step full and exact
    layers  how many layers of the last up block a light step runs; 1 is the cheapest
    run     runs a full step in the network's place, as OpenVINO does
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
        self.features: list[tuple[float, Tensor]] = []  # (t, features [N, c, h, w]) of the last two full steps

    def __call__(self, x: Tensor, t: float, text: Tensor) -> Tensor:
        if self.is_due(float(t), len(text)):
            return self.full(x, t, text)
        return self.unet.light(x, t, text, self.deep(float(t), len(text)), self.layers)

    def is_due(self, t: float, n: int) -> bool:
        """Return True if the cached features are older than `span` or belong to fewer than n texts."""
        if not self.features or n > len(self.features[-1][1]):
            return True
        last = self.features[-1][0]
        return last - t >= self.span(last)

    def full(self, x: Tensor, t: float, text: Tensor) -> Tensor:
        """Run the whole network and cache its features."""
        out, deep = self.run(x, t, text)
        before = [pair for pair in self.features[-1:] if len(pair[1]) >= len(text)]
        self.features = [*before, (float(t), deep)]
        return out

    def deep(self, t: float, n: int) -> Tensor:
        """Return features [n, c, h, w] for t, extrapolated slightly from those of the last two full steps.

        If guidance has ended since, these are the features of the conditional half, which comes last.
        """
        (before, old), (last, new) = self.features[0], self.features[-1]
        if before == last:
            return new[-n:]
        return torch.lerp(old[-n:], new[-n:], 1 + LEAD * (last - t) / (before - last))
