"""Run Stable Diffusion's UNet layer by layer, computing exactly what diffusers' module does.

The numbers are the same up to rounding, for less work.  A guided batch pairs each image with two texts, so everything
before the first cross-attention is computed once.  Keys and values of the text do not change along a walk, so they
are cached.  No step waits for the device, since nothing is compared or copied to it.  Blocks: Ho et al. 2020 (arXiv
2006.11239); cross-attention: Rombach et al. 2022 (arXiv 2112.10752).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import Attention
    from diffusers.models.resnet import ResnetBlock2D
    from diffusers.models.transformers.transformer_2d import Transformer2DModel

MANY = 2048  # tokens: from here on attention is quicker if each head is first copied into contiguous memory


def whole(network: UNet2DConditionModel, guidance: float | None = None) -> Callable[[Tensor, float, Tensor], Tensor]:
    """Return (x [B, c, h, w], t, text [N, n, d]) -> prediction [N, 4, h, w], run by diffusers' own forward.

    A network with `time_cond_proj_dim`, such as a latent consistency model, gets the guidance scale as an input.
    """

    def run(x: Tensor, t: float, text: Tensor) -> Tensor:
        options = guidance_options(network, guidance, x, len(text))
        return network(repeat_to(x, len(text)), timestep(x, t), encoder_hidden_states=text, **options).sample

    return run


def guidance_options(network: UNet2DConditionModel, guidance: float | None, x: Tensor, n: int) -> dict[str, Any]:
    """Return the keyword argument with the guidance scale, for n texts; {} unless the network has such an input."""
    size = getattr(network.config, "time_cond_proj_dim", None)
    if not size or guidance is None:
        return {}
    return {"timestep_cond": guidance_embedding(guidance, size).to(x).expand(n, -1)}


def guidance_embedding(scale: float, size: int) -> Tensor:
    """Return the sinusoids [1, size] that encode w = scale - 1 for a UNet (Luo et al. 2023, arXiv 2310.04378)."""
    half = size // 2
    frequencies = torch.exp(torch.arange(half) * (-math.log(10_000) / (half - 1)))
    angles = 1000 * (scale - 1) * frequencies
    return F.pad(torch.cat([angles.sin(), angles.cos()]), (0, size % 2))[None]


class UNet:
    """The UNet: (x [B, c, h, w], t, text [N, n, d]) -> (prediction [N, 4, h, w], its deep features).

    N is B or a multiple of it: text k belongs to image k modulo B.  The deep features are the input of the last
    `layers` layers of the last up block; `light` continues from them.  `sliced` computes attention head by head,
    slower and with less memory.
    """

    def __init__(self, network: UNet2DConditionModel, sliced: bool = False):
        self.network, self.sliced = network, sliced
        self.text = torch.empty(0)  # the text of the last call
        self.text_kv: dict[Attention, tuple[Tensor, Tensor]] = {}  # cached keys and values of that text

    def __call__(self, x: Tensor, t: float | Tensor, text: Tensor, layers: int = 1) -> tuple[Tensor, Tensor]:
        network, temb = self.network, self.time(x, t)
        self._set_text(text)
        h = network.conv_in(x)
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
        """Run only the outermost layers, with another step's deep features [N, c, h, w]."""
        network, temb = self.network, self.time(x, t)
        self._set_text(text)
        h = network.conv_in(x)
        skips = [h]
        for layer in _layers(network.down_blocks[0])[: layers - 1]:
            h = self.layer(layer, h, temb)
            skips.append(h)
        h = deep
        for layer in _layers(network.up_blocks[-1])[-layers:]:
            h = self.layer(layer, _joined(h, skips.pop()), temb)
        return self.out(h)

    def time(self, x: Tensor, t: float | Tensor) -> Tensor:
        """Return the timestep's embedding [1, d]."""
        network = self.network
        return F.silu(network.time_embedding(network.get_time_embed(x[:1], timestep(x, t))))

    def layer(self, layer: tuple[ResnetBlock2D, Transformer2DModel | None], h: Tensor, temb: Tensor) -> Tensor:
        resnet, attention = layer
        h = _resnet(resnet, h, temb)
        return h if attention is None else self.transformer(attention, h)

    def transformer(self, module: Transformer2DModel, h: Tensor) -> Tensor:
        """Apply self-attention, then cross-attention to the text: [B or N, c, h, w] -> [N, c, h, w]."""
        shape, before, h = h.shape, h, module.norm(h)
        if not module.use_linear_projection:
            h = module.proj_in(h)
        h = h.flatten(2).transpose(1, 2).contiguous()  # [N, h w, c]
        if module.use_linear_projection:
            h = module.proj_in(h)
        for block in module.transformer_blocks:
            h = h + self.attention(block.attn1, block.norm1(h))
            h = repeat_to(h, self.text.shape[0])
            h = h + self.attention(block.attn2, block.norm2(h), self.text)
            h = h + block.ff(block.norm3(h))
        if module.use_linear_projection:
            h = module.proj_out(h)
        h = h.transpose(1, 2).reshape(-1, h.shape[-1], *shape[-2:])
        if not module.use_linear_projection:
            h = module.proj_out(h.contiguous())
        return h + repeat_to(before, h.shape[0])

    def attention(self, module: Attention, h: Tensor, text: Tensor | None = None) -> Tensor:
        """Return softmax(q kᵀ / √d) v of each head, with keys and values from h [N, n, c] itself or from the text."""

        def heads(rows: Tensor) -> Tensor:
            return rows.unflatten(-1, (module.heads, -1)).transpose(1, 2)

        q = heads(module.to_q(h))
        if text is None:
            k, v = heads(module.to_k(h)), heads(module.to_v(h))
        else:
            if module not in self.text_kv:
                self.text_kv[module] = heads(module.to_k(text)).contiguous(), heads(module.to_v(text)).contiguous()
            k, v = self.text_kv[module]
        if q.shape[-2] >= MANY:
            q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        parts = zip(*(each.split(1, 1) for each in (q, k, v)), strict=True) if self.sliced else ((q, k, v),)
        out = torch.cat([F.scaled_dot_product_attention(*part) for part in parts], dim=1)
        return module.to_out[0](out.transpose(1, 2).flatten(2))

    def out(self, h: Tensor) -> Tensor:
        network = self.network
        return network.conv_out(F.silu(network.conv_norm_out(h), inplace=True))

    def _set_text(self, text: Tensor) -> None:
        """Clear the cached keys and values if the text has changed."""
        if not same_memory(self.text, text):
            self.text, self.text_kv = text, {}


def _layers(block) -> list[tuple[ResnetBlock2D, Transformer2DModel | None]]:
    """Return (resnet, its attention or None) in the order they run."""
    attentions = getattr(block, "attentions", None) or [None] * len(block.resnets)
    return list(zip(block.resnets, attentions, strict=True))


def _resnet(module: ResnetBlock2D, h: Tensor, temb: Tensor) -> Tensor:
    new = module.conv1(F.silu(module.norm1(h), inplace=True)) + module.time_emb_proj(temb)[:, :, None, None]
    new = module.conv2(F.silu(module.norm2(new), inplace=True))
    return new + (h if module.conv_shortcut is None else module.conv_shortcut(h))


def numbers(values: Iterable[float], x: Tensor) -> Tensor:
    """Return these numbers as [1, n], float32, made on x's device so that nothing is copied there."""
    return torch.cat([torch.full((1, 1), float(value), device=x.device) for value in values], dim=1)


def timestep(x: Tensor, t: float | Tensor) -> Tensor:
    """Return t as a tensor [1] on x's device; it is filled in there, since a copy would wait for the device."""
    return t if isinstance(t, Tensor) else torch.full((1,), float(t), device=x.device)


def same_memory(a: Tensor, b: Tensor) -> bool:
    """Return whether two tensors are the same view of the same memory; their values are not read."""
    return a is b or (a.data_ptr(), a.shape, a.stride(), a.dtype) == (b.data_ptr(), b.shape, b.stride(), b.dtype)


def repeat_to(h: Tensor, n: int) -> Tensor:
    """Repeat a batch until it holds n items."""
    return h if h.shape[0] == n else h.repeat(n // h.shape[0], *[1] * (h.ndim - 1))


def _joined(h: Tensor, skip: Tensor) -> Tensor:
    """Concatenate features [N, c, h, w] with those of a skip connection: [N, c + d, h, w]."""
    return torch.cat([h, repeat_to(skip, h.shape[0])], dim=1)
