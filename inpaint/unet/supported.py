"""Decide whether `forward.py` computes a UNet exactly: only Stable Diffusion's plain kind; diffusers runs others.

The configuration and every module are checked, since either can change what is computed: an attention processor that
was set, FreeU, an adapter, or a newer diffusers that builds its blocks differently.
"""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

UP_BLOCKS = {"UpBlock2D", "CrossAttnUpBlock2D"}
BLOCKS = {"DownBlock2D", "CrossAttnDownBlock2D", *UP_BLOCKS}
MODULES = BLOCKS | {
    "UNet2DConditionModel", "UNetMidBlock2DCrossAttn", "ResnetBlock2D", "Transformer2DModel", "BasicTransformerBlock",
    "Attention", "FeedForward", "GEGLU", "Downsample2D", "Upsample2D", "Timesteps", "TimestepEmbedding",
    "ModuleList", "Conv2d", "PrepackedConv2d", "Linear", "GroupNorm", "LayerNorm", "SiLU", "Dropout", "Identity",
}  # fmt: skip
FREE = {
    "sample_size", "in_channels", "out_channels", "down_block_types", "up_block_types", "block_out_channels",
    "layers_per_block", "transformer_layers_per_block", "norm_num_groups", "norm_eps", "cross_attention_dim",
    "attention_head_dim", "num_attention_heads", "use_linear_projection", "upcast_attention", "dropout",
    "downsample_padding", "flip_sin_to_cos", "freq_shift",
}  # settings that may differ between plain UNets  # fmt: skip
NEEDED = {  # the attributes that `forward.py` uses of each module
    "UNet2DConditionModel": ("conv_in", "down_blocks", "mid_block", "up_blocks", "conv_norm_out", "conv_out",
                             "time_embedding", "get_time_embed"),
    "ResnetBlock2D": ("norm1", "conv1", "time_emb_proj", "norm2", "conv2", "conv_shortcut"),
    "Transformer2DModel": ("norm", "proj_in", "proj_out", "transformer_blocks", "use_linear_projection"),
    "BasicTransformerBlock": ("norm1", "attn1", "norm2", "attn2", "norm3", "ff"),
    "Attention": ("to_q", "to_k", "to_v", "to_out", "heads", "processor"),
}  # fmt: skip
# attributes that change what a module computes, and the value that a plain module has
PLAIN: dict[str, dict[str, Any]] = {
    "ResnetBlock2D": {"upsample": None, "downsample": None, "time_embedding_norm": "default", "skip_time_act": False,
                      "output_scale_factor": 1.0},
    "BasicTransformerBlock": {"norm_type": "layer_norm", "pos_embed": None, "only_cross_attention": False},
    "Attention": {"group_norm": None, "spatial_norm": None, "norm_q": None, "norm_k": None, "norm_cross": None,
                  "residual_connection": False, "rescale_output_factor": 1.0, "fused_projections": False,
                  "scale_qk": True},
    **{name: {"s1": None, "s2": None, "b1": None, "b2": None} for name in UP_BLOCKS},  # FreeU
}  # fmt: skip


def fits(network: nn.Module) -> bool:
    """Return whether this UNet is of the plain kind, by its configuration and by each of its modules."""
    config: dict[str, Any] | None = getattr(network, "config", None)
    if config is None or not hasattr(network, "up_blocks"):
        return False
    usual = inspect.signature(type(network).__init__).parameters
    if any(key in usual and key not in FREE and value != usual[key].default for key, value in config.items()):
        return False
    return all(_is_plain(module) for module in network.modules())


def _is_plain(module: nn.Module) -> bool:
    kind = type(module).__name__
    if kind not in MODULES or not all(hasattr(module, name) for name in NEEDED.get(kind, ())):
        return False
    if kind == "Attention" and type(module.processor).__name__ != "AttnProcessor2_0":
        return False
    return all(getattr(module, name, value) == value for name, value in PLAIN.get(kind, {}).items())
