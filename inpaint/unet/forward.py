"""Stable Diffusion's UNet in the open: what diffusers' module computes, walked layer by layer.

The same numbers to rounding, for less work.  The halves of a guided batch differ only in their text, so all that
comes before the first look at the text is computed once.  Keys and values of the text do not change along a walk,
so they are kept.  Ho et al. 2020 (arXiv 2006.11239) gave the UNet its blocks, Rombach et al. 2022 (arXiv 2112.10752)
the cross-attention.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = {"DownBlock2D", "CrossAttnDownBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"}
FREE = {
    "sample_size",
    "in_channels",
    "out_channels",
    "down_block_types",
    "up_block_types",
    "block_out_channels",
    "layers_per_block",
    "transformer_layers_per_block",
    "norm_num_groups",
    "norm_eps",
    "cross_attention_dim",
    "attention_head_dim",
    "num_attention_heads",
    "use_linear_projection",
    "upcast_attention",
    "dropout",
    "downsample_padding",
    "flip_sin_to_cos",
    "freq_shift",
}  # what may differ between UNets of the plain kind
MANY = 2048  # tokens, from which on attention is quicker when each head lies in one piece, copying included


def fits(network: nn.Module) -> bool:
    """Whether this is a UNet of Stable Diffusion's plain kind, which is known here."""
    config = getattr(network, "config", None)
    if config is None or not hasattr(network, "up_blocks"):
        return False
    usual = inspect.signature(type(network).__init__).parameters
    return {type(block).__name__ for block in (*network.down_blocks, *network.up_blocks)} <= BLOCKS and not any(
        key in usual and key not in FREE and value != usual[key].default for key, value in config.items()
    )


def whole(network: nn.Module) -> Callable[[Tensor, float, Tensor], Tensor]:
    """A network of any kind by diffusers' own call: (x, t, text) -> what it predicts."""
    return lambda x, t, text: network(x, torch.as_tensor(t, device=x.device), encoder_hidden_states=text).sample


class UNet:
    """(x [N, c, h, w], t, text [N, n, d]) -> (what the network predicts [N, 4, h, w], its deep features).

    Deep features are what enters the last `layers` layers of the last up block; `light` goes on from them.
    `sliced` computes attention head by head, slower and with less memory.
    """

    def __init__(self, network: nn.Module, sliced: bool = False):
        self.network, self.sliced = network, sliced
        self.text: Tensor | None = None
        self.heard: dict[nn.Module, tuple[Tensor, Tensor]] = {}  # keys and values of the text, by attention

    def __call__(self, x: Tensor, t: float, text: Tensor, layers: int = 1) -> tuple[Tensor, Tensor]:
        network, temb = self.network, self.time(x, t)
        self._listen(text)
        h = network.conv_in(once(x))
        skips = [h]
        for block in network.down_blocks:
            for layer in _layers(block):
                h = self.layer(layer, h, temb)
                skips.append(h)
            for down in block.downsamplers or ():
                h = down(h)
                skips.append(h)
        first, *rest = network.mid_block.resnets
        h = _resnet(first, h, temb)
        for attention, resnet in zip(network.mid_block.attentions, rest, strict=True):
            h = _resnet(resnet, self.transformer(attention, h), temb)
        for block in network.up_blocks:
            for layer in _layers(block):
                if len(skips) == layers:
                    deep = h
                h = self.layer(layer, _joined(h, skips.pop()), temb)
            for up in block.upsamplers or ():
                h = up(h, skips[-1].shape[-2:])
        return self.out(h), deep

    def light(self, x: Tensor, t: float, text: Tensor, deep: Tensor, layers: int = 1) -> Tensor:
        """What the network predicts from another step's deep features [N, c, h, w]: only the outermost layers run."""
        network, temb = self.network, self.time(x, t)
        self._listen(text)
        h = network.conv_in(once(x))
        skips = [h]
        for layer in _layers(network.down_blocks[0])[: layers - 1]:
            h = self.layer(layer, h, temb)
            skips.append(h)
        h = deep
        for layer in _layers(network.up_blocks[-1])[-layers:]:
            h = self.layer(layer, _joined(h, skips.pop()), temb)
        return self.out(h)

    def time(self, x: Tensor, t: float) -> Tensor:
        """[1, d]: the timestep as the resnets are told it."""
        network = self.network
        return F.silu(network.time_embedding(network.get_time_embed(x[:1], torch.as_tensor(t, device=x.device))))

    def layer(self, layer: tuple[nn.Module, nn.Module | None], h: Tensor, temb: Tensor) -> Tensor:
        resnet, attention = layer
        h = _resnet(resnet, h, temb)
        return h if attention is None else self.transformer(attention, h)

    def transformer(self, module: nn.Module, h: Tensor) -> Tensor:
        """[N or N / 2, c, h, w] -> [N, c, h, w]: each place looks at all others, then at the text."""
        shape, before, h = h.shape, h, module.norm(h)
        if not module.use_linear_projection:
            h = module.proj_in(h)
        h = h.flatten(2).transpose(1, 2).contiguous()  # [N, h w, c]
        if module.use_linear_projection:
            h = module.proj_in(h)
        for block in module.transformer_blocks:
            h = h + self.attention(block.attn1, block.norm1(h))
            h = _each(h, self.text.shape[0])
            h = h + self.attention(block.attn2, block.norm2(h), self.text)
            h = h + block.ff(block.norm3(h))
        if module.use_linear_projection:
            h = module.proj_out(h)
        h = h.transpose(1, 2).reshape(-1, h.shape[-1], *shape[-2:])
        if not module.use_linear_projection:
            h = module.proj_out(h.contiguous())
        return h + _each(before, h.shape[0])

    def attention(self, module: nn.Module, h: Tensor, text: Tensor | None = None) -> Tensor:
        """softmax(q kᵀ / √d) v for each head, keys and values from h [N, n, c] itself or from the text."""

        def heads(rows: Tensor) -> Tensor:
            return rows.unflatten(-1, (module.heads, -1)).transpose(1, 2)

        q = heads(module.to_q(h))
        if text is None:
            k, v = heads(module.to_k(h)), heads(module.to_v(h))
        else:
            if module not in self.heard:
                self.heard[module] = tuple(heads(to(text)).contiguous() for to in (module.to_k, module.to_v))
            k, v = self.heard[module]
        if q.shape[-2] >= MANY:
            q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        parts = zip(*(each.split(1, 1) for each in (q, k, v)), strict=True) if self.sliced else ((q, k, v),)
        found = torch.cat([F.scaled_dot_product_attention(*part) for part in parts], dim=1)
        return module.to_out[0](found.transpose(1, 2).flatten(2))

    def out(self, h: Tensor) -> Tensor:
        network = self.network
        return network.conv_out(F.silu(network.conv_norm_out(h), inplace=True))

    def _listen(self, text: Tensor) -> None:
        """What was kept of another text is forgotten."""
        if self.text is None or self.text.shape != text.shape or not torch.equal(self.text, text):
            self.text, self.heard = text, {}


def _layers(block: nn.Module) -> list[tuple[nn.Module, nn.Module | None]]:
    """(resnet, its attention or None), in the order they run."""
    attentions = getattr(block, "attentions", None) or [None] * len(block.resnets)
    return list(zip(block.resnets, attentions, strict=True))


def _resnet(module: nn.Module, h: Tensor, temb: Tensor) -> Tensor:
    new = module.conv1(F.silu(module.norm1(h), inplace=True)) + module.time_emb_proj(temb)[:, :, None, None]
    new = module.conv2(F.silu(module.norm2(new), inplace=True))
    return new + (h if module.conv_shortcut is None else module.conv_shortcut(h))


def once(x: Tensor) -> Tensor:
    """One half of x if the other is the same."""
    half = len(x) // 2
    return x[:half] if half and len(x) == 2 * half and torch.equal(x[:half], x[half:]) else x


def _each(h: Tensor, n: int) -> Tensor:
    """h for all n of the batch."""
    return h if h.shape[0] == n else h.repeat(n // h.shape[0], *[1] * (h.ndim - 1))


def _joined(h: Tensor, skip: Tensor) -> Tensor:
    """[N, c + d, h, w]: what comes from below and what comes from across."""
    return torch.cat([h, _each(skip, h.shape[0])], dim=1)
