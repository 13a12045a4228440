"""A UNet that runs whole only now and then, and between with what its deep layers last said.

Deep layers draw what is coarse, and that changes slowly along a walk (Ma et al. 2023, arXiv 2312.00858).  A full step
keeps what enters the last layer of the last up block; a light step runs conv_in, that layer and conv_out: a tenth
of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

SPAN = (75, 0.45, 200)  # timesteps of 1000: carried so far at t = 1000, so much farther for each t below, at most
LEAD = 0.5  # how much of the features' own movement is continued
BLOCKS = {"DownBlock2D", "CrossAttnDownBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"}
SPECIAL = ("class_embed_type", "num_class_embeds", "addition_embed_type", "center_input_sample")


def span(t: float) -> float:
    """How far the features of a full step at t are carried: not far where it is decided what is drawn."""
    least, more, most = SPAN
    return min(most, least + more * (1000 - t))


def fits(network: nn.Module) -> bool:
    """Whether this is a UNet of Stable Diffusion's plain kind, whose light step is known here."""
    config = getattr(network, "config", None)
    if config is None or not hasattr(network, "up_blocks") or any(config.get(key) for key in SPECIAL):
        return False
    return {type(block).__name__ for block in (*network.down_blocks, *network.up_blocks)} <= BLOCKS


def whole(network: nn.Module) -> Callable[[Tensor, float, Tensor], Tensor]:
    """The network, called the way a `Reuse` is."""
    return lambda x, t, text: network(x, torch.as_tensor(t, device=x.device), encoder_hidden_states=text).sample


def heard(network: nn.Module, x: Tensor, t: float, text: Tensor, layers: int = 1) -> tuple[Tensor, Tensor]:
    """The network's own call, with an ear at the layer where light steps begin: (what it predicts, deep features)."""
    caught = []
    ear = network.up_blocks[-1].resnets[-layers].register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    try:
        out = whole(network)(x, t, text)
    finally:
        ear.remove()
    return out, caught[0][:, : caught[0].shape[1] - network.config.block_out_channels[0]].clone()


class Reuse:
    """(x [N, c, h, w], t, text [N, n, d]) -> what the network predicts [N, 4, h, w]; one object for one walk.

    `layers` of the last up block run in a light step, 1 being the cheapest.  `span(t)` is how far below a full step's
    t the next one must lie; at 0 every step is full, and the very same as the network's own.  `run` answers a full
    step as `heard` does.
    """

    def __init__(self, network: nn.Module, span: Callable[[float], float] = span, layers: int = 1,
                 run: Callable[[Tensor, float, Tensor], tuple[Tensor, Tensor]] | None = None):
        self.network, self.span, self.layers = network, span, layers
        self.run = run or partial(heard, network, layers=layers)
        self.kept: list[tuple[float, Tensor]] = []  # (t, features [N, c, h, w]) of the last two full steps

    def __call__(self, x: Tensor, t: float, text: Tensor) -> Tensor:
        if self.due(float(t), len(x)):
            return self.full(x, t, text)
        return self.light(x, t, text)

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

    def light(self, x: Tensor, t: float, text: Tensor) -> Tensor:
        """Only the network's outermost layers, around the deep features."""
        network = self.network
        temb = network.time_embedding(network.get_time_embed(sample=x, timestep=torch.as_tensor(t, device=x.device)))
        if network.time_embed_act is not None:
            temb = network.time_embed_act(temb)
        text = network.process_encoder_hidden_states(encoder_hidden_states=text, added_cond_kwargs=None)
        h = network.conv_in(x)
        skips = [h]
        for layer in _layers(network.down_blocks[0])[: self.layers - 1]:
            h = _through(layer, h, temb, text)
            skips.append(h)
        h = self.deep(float(t), len(x))
        for layer in _layers(network.up_blocks[-1])[-self.layers:]:
            h = _through(layer, torch.cat([h, skips.pop()], dim=1), temb, text)
        if network.conv_norm_out is not None:
            h = network.conv_act(network.conv_norm_out(h))
        return network.conv_out(h)

    def deep(self, t: float, n: int) -> Tensor:
        """[n, c, h, w]: the features of the last full step, moved on a little as they moved between the last two.

        Of a guided batch only the conditional half, which is the last, where guidance is off by now.
        """
        (before, old), (last, new) = self.kept[0], self.kept[-1]
        if before == last:
            return new[-n:]
        return torch.lerp(old[-n:], new[-n:], 1 + LEAD * (last - t) / (before - last))


def _layers(block: nn.Module) -> list[tuple[nn.Module, nn.Module | None]]:
    """(resnet, its attention or None), in the order they run."""
    attentions = getattr(block, "attentions", None) or [None] * len(block.resnets)
    return list(zip(block.resnets, attentions, strict=True))


def _through(layer: tuple[nn.Module, nn.Module | None], h: Tensor, temb: Tensor, text: Tensor) -> Tensor:
    resnet, attention = layer
    h = resnet(h, temb)
    return h if attention is None else attention(h, encoder_hidden_states=text, return_dict=False)[0]
