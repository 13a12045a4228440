"""Map the layers of FLUX.1 and Stable Diffusion 3 from their original programs' names to diffusers'.

Both are flat names, with "_" in place of ".".  The originals keep queries, keys and values in one layer, diffusers in
three, so that one layer of theirs may be several of ours, one below the other.
"""

from __future__ import annotations

import re

FLUX, SD3 = "FLUX.1", "Stable Diffusion 3"
KINDS = (  # the pattern of a layer's name that only one of them has, in either naming
    (re.compile(r"(double_blocks|single_blocks|single_transformer_blocks)_\d"), FLUX),
    (re.compile(r"joint_blocks_\d"), SD3),
)
EITHER_OF = f"a transformer such as {FLUX} or {SD3}"
EITHER = re.compile(r"transformer_blocks_\d")  # diffusers' names that both have
DOUBLE, SINGLE, JOINT = "double_blocks_(N)_", "single_blocks_(N)_", "joint_blocks_(N)_"
TABLE: dict[str, tuple[str, ...]] = {  # {their layer: ours}, N a number and BLOCK the prefix of the block it names
    DOUBLE + "img_attn_qkv": ("attn_to_q", "attn_to_k", "attn_to_v"),
    DOUBLE + "txt_attn_qkv": ("attn_add_q_proj", "attn_add_k_proj", "attn_add_v_proj"),
    DOUBLE + "img_attn_proj": ("attn_to_out_0",),
    DOUBLE + "txt_attn_proj": ("attn_to_add_out",),
    DOUBLE + "img_mlp_0": ("ff_net_0_proj",),
    DOUBLE + "img_mlp_2": ("ff_net_2",),
    DOUBLE + "txt_mlp_0": ("ff_context_net_0_proj",),
    DOUBLE + "txt_mlp_2": ("ff_context_net_2",),
    DOUBLE + "img_mod_lin": ("norm1_linear",),
    DOUBLE + "txt_mod_lin": ("norm1_context_linear",),
    DOUBLE + "img_attn_norm_query_norm": ("attn_norm_q",),
    DOUBLE + "img_attn_norm_key_norm": ("attn_norm_k",),
    DOUBLE + "txt_attn_norm_query_norm": ("attn_norm_added_q",),
    DOUBLE + "txt_attn_norm_key_norm": ("attn_norm_added_k",),
    SINGLE + "norm_query_norm": ("attn_norm_q",),
    SINGLE + "norm_key_norm": ("attn_norm_k",),
    SINGLE + "linear1": ("attn_to_q", "attn_to_k", "attn_to_v", "proj_mlp"),
    SINGLE + "linear2": ("proj_out",),
    SINGLE + "modulation_lin": ("norm_linear",),
    JOINT + "x_block_attn_qkv": ("attn_to_q", "attn_to_k", "attn_to_v"),
    JOINT + "x_block_attn_proj": ("attn_to_out_0",),
    JOINT + "x_block_attn2_qkv": ("attn2_to_q", "attn2_to_k", "attn2_to_v"),
    JOINT + "x_block_attn2_proj": ("attn2_to_out_0",),
    JOINT + "x_block_attn_ln_q": ("attn_norm_q",),
    JOINT + "x_block_attn_ln_k": ("attn_norm_k",),
    JOINT + "x_block_attn2_ln_q": ("attn2_norm_q",),
    JOINT + "x_block_attn2_ln_k": ("attn2_norm_k",),
    JOINT + "context_block_attn_ln_q": ("attn_norm_added_q",),
    JOINT + "context_block_attn_ln_k": ("attn_norm_added_k",),
    JOINT + "x_block_mlp_fc1": ("ff_net_0_proj",),
    JOINT + "x_block_mlp_fc2": ("ff_net_2",),
    JOINT + "x_block_adaLN_modulation_1": ("norm1_linear",),
    JOINT + "context_block_attn_qkv": ("attn_add_q_proj", "attn_add_k_proj", "attn_add_v_proj"),
    JOINT + "context_block_attn_proj": ("attn_to_add_out",),
    JOINT + "context_block_mlp_fc1": ("ff_context_net_0_proj",),
    JOINT + "context_block_mlp_fc2": ("ff_context_net_2",),
    JOINT + "context_block_adaLN_modulation_1": ("norm1_context_linear",),
}
PATTERNS = [(re.compile(theirs.replace("(N)", r"(\d+)")), ours) for theirs, ours in TABLE.items()]
OUTER = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in_in_layer": "time_text_embed_timestep_embedder_linear_1",
    "time_in_out_layer": "time_text_embed_timestep_embedder_linear_2",
    "vector_in_in_layer": "time_text_embed_text_embedder_linear_1",
    "vector_in_out_layer": "time_text_embed_text_embedder_linear_2",
    "guidance_in_in_layer": "time_text_embed_guidance_embedder_linear_1",
    "guidance_in_out_layer": "time_text_embed_guidance_embedder_linear_2",
    "t_embedder_mlp_0": "time_text_embed_timestep_embedder_linear_1",
    "t_embedder_mlp_2": "time_text_embed_timestep_embedder_linear_2",
    "y_embedder_mlp_0": "time_text_embed_text_embedder_linear_1",
    "y_embedder_mlp_2": "time_text_embed_text_embedder_linear_2",
    "x_embedder_proj": "pos_embed_proj",
    "final_layer_linear": "proj_out",
    "final_layer_adaLN_modulation_1": "norm_out_linear",
}
MODULATION = "adaLN_modulation_1"


def ours(layer: str) -> tuple[str, ...]:
    """Return diffusers' flat names of an original layer, () for any other name."""
    if layer in OUTER:
        return (OUTER[layer],)
    for pattern, parts in PATTERNS:
        found = pattern.fullmatch(layer)
        if found:
            block = "single_transformer_blocks" if layer.startswith("single") else "transformer_blocks"
            return tuple(f"{block}_{found[1]}_{part}" for part in parts)
    return ()


def swapped(layer: str, rows: int, columns: int) -> bool:
    """Return whether the halves of a layer change places: a modulation by shift and scale alone.

    The originals compute the shift first, diffusers the scale.
    """
    return layer.endswith(MODULATION) and rows == 2 * columns


def kind(layers: list[str]) -> str | None:
    """Return the title of the family whose transformer has such layers; None for those of a UNet."""
    for pattern, title in KINDS:
        if any(map(pattern.match, layers)):
            return title
    return EITHER_OF if any(map(EITHER.match, layers)) else None
