"""Write tiny FLUX.1 and Stable Diffusion 3 models as one file, in the naming of their original programs."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.models.families.ldm import vae_name

Weights = dict[str, torch.Tensor]
FLUX = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "proj_out": "final_layer.linear",
    "single.norm.linear": "modulation.lin",
    "single.attn.norm_q": "norm.query_norm",
    "single.attn.norm_k": "norm.key_norm",
    "single.proj_out": "linear2",
    "norm1.linear": "img_mod.lin",
    "norm1_context.linear": "txt_mod.lin",
    "attn.norm_q": "img_attn.norm.query_norm",
    "attn.norm_k": "img_attn.norm.key_norm",
    "attn.norm_added_q": "txt_attn.norm.query_norm",
    "attn.norm_added_k": "txt_attn.norm.key_norm",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_add_out": "txt_attn.proj",
    "ff.net.0.proj": "img_mlp.0",
    "ff.net.2": "img_mlp.2",
    "ff_context.net.0.proj": "txt_mlp.0",
    "ff_context.net.2": "txt_mlp.2",
}
SD3 = {
    "pos_embed.proj": "x_embedder.proj",
    "context_embedder": "context_embedder",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "proj_out": "final_layer.linear",
    "norm1.linear": "x_block.adaLN_modulation.1",
    "norm1_context.linear": "context_block.adaLN_modulation.1",
    "attn.norm_q": "x_block.attn.ln_q",
    "attn.norm_k": "x_block.attn.ln_k",
    "attn2.norm_q": "x_block.attn2.ln_q",
    "attn2.norm_k": "x_block.attn2.ln_k",
    "attn.norm_added_q": "context_block.attn.ln_q",
    "attn.norm_added_k": "context_block.attn.ln_k",
    "attn.to_out.0": "x_block.attn.proj",
    "attn2.to_out.0": "x_block.attn2.proj",
    "attn.to_add_out": "context_block.attn.proj",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
}
JOINED = {  # {our first part: (the other parts, theirs)}
    "flux": {
        "single.attn.to_q": (["single.attn.to_k", "single.attn.to_v", "single.proj_mlp"], "linear1"),
        "attn.to_q": (["attn.to_k", "attn.to_v"], "img_attn.qkv"),
        "attn.add_q_proj": (["attn.add_k_proj", "attn.add_v_proj"], "txt_attn.qkv"),
    },
    "sd3": {
        "attn.to_q": (["attn.to_k", "attn.to_v"], "x_block.attn.qkv"),
        "attn2.to_q": (["attn2.to_k", "attn2.to_v"], "x_block.attn2.qkv"),
        "attn.add_q_proj": (["attn.add_k_proj", "attn.add_v_proj"], "context_block.attn.qkv"),
    },
}


def swapped(value: torch.Tensor) -> torch.Tensor:
    return torch.cat(value.chunk(2)[::-1])


def transformer(network) -> Weights:
    """The weights of a FLUX.1 or Stable Diffusion 3 transformer by the original program's names."""
    kind = "flux" if "Flux" in type(network).__name__ else "sd3"
    table, block = (FLUX, "double_blocks") if kind == "flux" else (SD3, "joint_blocks")
    last, state, found = network.config.num_layers - 1, network.state_dict(), {}
    for key, value in state.items():
        layer, _, end = key.rpartition(".")
        if key == "pos_embed.pos_embed":
            found["pos_embed"] = value
            continue
        at = re.match(r"(single_)?transformer_blocks\.(\d+)\.", layer)
        short = ("single." if at[1] else "") + layer[at.end() :] if at else layer
        to = f"{'single_blocks' if at[1] else block}.{at[2]}." if at else ""
        name = end if "norm_" not in short or kind == "sd3" else {"weight": "scale"}.get(end, end)
        if layer == "norm_out.linear":
            found[f"final_layer.adaLN_modulation.1.{end}"] = swapped(value)
        elif short in JOINED[kind]:
            others, theirs = JOINED[kind][short]
            parts = [state[f"{at[0]}{other.removeprefix('single.')}.{end}"] for other in others]
            found[f"{to}{theirs}.{end}"] = torch.cat([value, *parts])
        elif short in table:
            only = kind == "sd3" and short == "norm1_context.linear" and int(at[2]) == last
            found[f"{to}{table[short]}.{name}"] = swapped(value) if only else value
        else:
            assert any(short in others for others, _ in JOINED[kind].values()), key
    return found


def vae(network) -> Weights:
    found = {}
    for key, value in network.state_dict().items():
        name = vae_name(key)
        found[name] = value[..., None, None] if "attn_1" in name and value.ndim == 2 else value
    return found


def clip(encoder) -> Weights:
    state = encoder.state_dict()
    return {key if key.startswith("text_") else f"text_model.{key}": value for key, value in state.items()}


def saved(pipeline, path: Path, whole: bool = False, dtype: torch.dtype | None = None) -> Path:
    """Save the transformer alone, or with VAE and text encoders, as ComfyUI does."""
    root = "model.diffusion_model." if whole else ""
    found = {f"{root}{key}": value for key, value in transformer(pipeline.transformer).items()}
    if whole:
        flux = "Flux" in type(pipeline).__name__
        parts = {
            "vae." if flux else "first_stage_model.": vae(pipeline.vae),
            "text_encoders.clip_l.transformer.": clip(pipeline.text_encoder),
            "text_encoders.t5xxl.transformer.": (
                pipeline.text_encoder_2 if flux else pipeline.text_encoder_3
            ).state_dict(),
        }
        if not flux:
            parts["text_encoders.clip_g.transformer."] = clip(pipeline.text_encoder_2)
        found |= {f"{place}{key}": value for place, part in parts.items() for key, value in part.items()}
    save_file({key: value.to(dtype or value.dtype).clone().contiguous() for key, value in found.items()}, path)
    return path
