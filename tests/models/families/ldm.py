"""Write a tiny Stable Diffusion XL as one file in the original program's naming."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import save_file

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
VAE = (
    (r"(encoder\.)down_blocks\.(\d)\.resnets", r"\1down.\2.block"),
    (r"(encoder\.)down_blocks\.(\d)\.downsamplers\.0", r"\1down.\2.downsample"),
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    ("group_norm", "norm"),
    (r"to_out\.0", "proj_out"),
    (r"to_(?=[qkv]\.)", ""),
    ("conv_norm_out", "norm_out"),
    ("conv_shortcut", "nin_shortcut"),
)
OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def unet_name(key: str, layers: int) -> str:
    """Turn diffusers' name of a UNet's weight into ldm's; `layers` are those of a block."""
    for ours, theirs in UNET.items():
        if key.startswith(f"{ours}."):
            return key.replace(ours, theirs, 1)
    side, block, kind, k, rest = re.fullmatch(r"(down|up|mid)_blocks?\.?(\d?)\.(\w+)\.(\d)\.(.+)", key).groups()
    if kind == "resnets":
        part, _, rest = rest.partition(".")
        rest = f"{RESNET[part]}.{rest}"
    if side == "mid":
        return f"middle_block.{1 if kind == 'attentions' else 2 * int(k)}.{rest}"
    block, k = int(block), int(k)
    if side == "down":
        at = 1 + block * (layers + 1) + (layers if kind == "downsamplers" else k)
        return f"input_blocks.{at}.{('op.' + rest[5:]) if kind == 'downsamplers' else rest}".replace(
            f"{at}.", f"{at}.{int(kind == 'attentions')}.", 1
        )
    at = block * (layers + 1) + (layers if kind == "upsamplers" else k)
    return f"output_blocks.{at}.{ {'resnets': 0, 'attentions': 1}.get(kind, 2 if block == 0 else 1) }.{rest}"


def vae_name(key: str) -> str:
    """Turn diffusers' name of a VAE's weight into ldm's; its blocks of the decoder are counted from the end."""
    key = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{3 - int(m[1])}.block", key)
    key = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample", key)
    for ours, theirs in VAE:
        key = re.sub(ours, theirs, key)
    return key


def open_clip(encoder) -> dict[str, torch.Tensor]:
    """Return a text encoder's weights in open_clip's naming, queries, keys and values in one."""
    own = {key.removeprefix("text_model."): value for key, value in encoder.state_dict().items()}
    found = {
        "token_embedding.weight": own["embeddings.token_embedding.weight"],
        "positional_embedding": own["embeddings.position_embedding.weight"],
        "text_projection": own["text_projection.weight"].T,
    }
    for kind in ("weight", "bias"):
        found[f"ln_final.{kind}"] = own[f"final_layer_norm.{kind}"]
        for k in range(encoder.config.num_hidden_layers):
            block, layer = f"transformer.resblocks.{k}", f"encoder.layers.{k}"
            found |= {f"{block}.{new}.{kind}": own[f"{layer}.{old}.{kind}"] for old, new in OPEN_CLIP.items()}
            parts = [own[f"{layer}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            found[f"{block}.attn.in_proj_{kind}"] = torch.cat(parts)
    return found


def saved(pipeline, path: Path, **markers: torch.Tensor) -> Path:
    """Save a pipeline of Stable Diffusion XL as one file, with these tensors beside its own."""
    unet, layers = pipeline.unet.state_dict(), pipeline.unet.config.layers_per_block
    found = {f"model.diffusion_model.{unet_name(key, layers)}": value for key, value in unet.items()}
    for key, value in pipeline.vae.state_dict().items():
        name = vae_name(key)
        conv = "attn_1" in name and value.ndim == 2  # a 1 × 1 convolution there
        found[f"first_stage_model.{name}"] = value[..., None, None] if conv else value
    for key, value in pipeline.text_encoder.state_dict().items():
        name = key if key.startswith("text_model.") else f"text_model.{key}"
        found[f"conditioner.embedders.0.transformer.{name}"] = value
    found |= {
        f"conditioner.embedders.1.model.{key}": value for key, value in open_clip(pipeline.text_encoder_2).items()
    }
    save_file({key: value.clone().contiguous() for key, value in {**found, **markers}.items()}, path)
    return path
