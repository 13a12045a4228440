"""Map each tensor name in a LoRA file to a layer and a network, whichever program wrote it.

    kohya, LyCORIS   lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight
    diffusers        unet.down_blocks.0.attentions.0.proj_in.lora.down.weight
    PEFT             base_model.model.down_blocks.0.attentions.0.proj_in.lora_A.weight, also after unet.
    ComfyUI, ldm     diffusion_model.input_blocks.1.1.proj_in.lora_up.weight

kohya's names have no dots, so layers are compared by flat names: a module's own name with "_" in place of ".".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from torch import nn

PIECES = {  # {the end of a key: which piece of an adapter the tensor is}
    ".lora_down.weight": "down",
    ".lora_up.weight": "up",
    ".lora_mid.weight": "mid",
    ".lora_A.weight": "down",
    ".lora_B.weight": "up",
    ".lora_B.bias": "bias",
    ".lora.down.weight": "down",
    ".lora.up.weight": "up",
    "_lora.down.weight": "down",
    "_lora.up.weight": "up",
    ".lora_linear_layer.down.weight": "down",
    ".lora_linear_layer.up.weight": "up",
    ".alpha": "alpha",
    ".scalar": "scalar",
    ".dora_scale": "dora_scale",
    ".lora_magnitude_vector": "magnitude",
    ".lora_magnitude_vector.weight": "magnitude",
    ".diff": "diff",
    ".diff_b": "diff_b",
    ".w_norm": "diff",
    ".b_norm": "diff_b",
    ".ia3_l": "ia3_l",
    ".on_input": "on_input",
    ".weight": "ia3",
    **{f".{name}": name for name in ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2")},
    **{f".{name}": name for name in ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b")},
    ".lokr_t2": "lokr_t2",
}
KEY = re.compile(f"(?P<layer>.+?)(?P<end>{'|'.join(map(re.escape, sorted(PIECES, key=len, reverse=True)))})")
PREFIXES = {  # {the beginning of a layer's name: its network}; "unet" is the denoiser, also a transformer
    "lora_unet_": "unet",
    "lycoris_": "unet",
    "unet.": "unet",
    "diffusion_model.": "unet",
    "transformer.": "unet",
    "lora_transformer_": "unet",
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
    "lora_te3_": "t5",
    "text_encoder.": "text_encoder",
    "text_encoder_2.": "text_encoder_2",
    "text_encoder_3.": "t5",
    "text_model.": "text_encoder",
    "encoder.layers.": "text_encoder",
}
# PEFT's wrapper, alone or in a pipeline's network
PEFT = re.compile(r"^(unet\.|transformer\.|text_encoder(?:_[23])?\.)?base_model\.model\.")
UNET = re.compile(r"(down_blocks|mid_block|up_blocks|conv_in|conv_out|conv_norm_out|time_embedding|add_embedding)\b")
TRANSFORMER = re.compile(r"((single_)?transformer_blocks|double_blocks|single_blocks|joint_blocks)\.")
OLD_TEXT = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}  # diffusers before PEFT
RESNET = {
    "in_layers_0": "norm1",
    "in_layers_2": "conv1",
    "emb_layers_1": "time_emb_proj",
    "out_layers_0": "norm2",
    "out_layers_3": "conv2",
    "skip_connection": "conv_shortcut",
}
OUTER = {  # ldm's names of the layers outside the blocks
    "input_blocks_0_0": "conv_in",
    "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2",
    "label_emb_0_0": "add_embedding_linear_1",
    "label_emb_0_2": "add_embedding_linear_2",
    "out_0": "conv_norm_out",
    "out_2": "conv_out",
}
MIDDLE = {"0": "resnets_0", "1": "attentions_0", "2": "resnets_1"}


class Piece(NamedTuple):
    """One tensor's target: the network, the layer's flat name and dotted name, and its role in the adapter."""

    network: str
    layer: str
    dotted: str
    piece: str


def place(key: str) -> Piece | None:
    """Return the target of the tensor with this key, or None if the key is unknown."""
    key = re.sub(r"\.default(?=\.weight$|\.bias$|$)", "", PEFT.sub(r"\1", key))
    found = KEY.fullmatch(key)
    if found is None:
        return None
    layer, piece = found["layer"], PIECES[found["end"]]
    for prefix, network in PREFIXES.items():
        if layer.startswith(prefix):
            dotted = layer if prefix in ("text_model.", "encoder.layers.") else layer.removeprefix(prefix)
            return Piece(network, flat(dotted, network), dotted, piece)
    if UNET.match(layer) or TRANSFORMER.match(layer):
        return Piece("unet", flat(layer, "unet"), layer, piece)
    return None


def flat(name: str, network: str) -> str:
    """Return a layer's name as kohya writes it, with the current names of the attention's parts."""
    name = name.replace(".processor.", ".").replace(".", "_")
    if network == "unet":
        return name + "_0" if name.endswith("_to_out") else name
    for old, new in OLD_TEXT.items():
        name = re.sub(f"self_attn_{old}$", f"self_attn_{new}", name)
    return name.removeprefix("text_model_")


def modules(network: nn.Module, kind: str) -> dict[str, nn.Module]:
    """Return a network's layers by their flat names."""
    return {flat(name, kind): module for name, module in network.named_modules() if name}


def from_ldm(layer: str, layers_per_block: int) -> str:
    """Return diffusers' flat name of a UNet layer in ldm's naming; any other name unchanged."""
    outer = next((name for name in OUTER if layer == name), None)
    if outer:
        return OUTER[outer]
    found = re.fullmatch(r"(input_blocks_|middle_block_|output_blocks_)(\d+)_(?:(\d+)_)?(.+)", layer)
    if found is None:
        return layer
    where, number, part, rest = found[1], int(found[2]), found[3] or "", found[4]
    if where == "middle_block_":
        rest = f"{part}_{rest}" if part else rest
        return f"mid_block_{MIDDLE.get(str(number), number)}_{RESNET.get(rest, rest)}"
    if where == "input_blocks_":
        block, index = divmod(number - 1, layers_per_block + 1)
        if rest == "op":
            return f"down_blocks_{block}_downsamplers_0_conv"
        side = "down"
    else:
        block, index = divmod(number, layers_per_block + 1)
        if rest == "conv":
            return f"up_blocks_{block}_upsamplers_0_conv"
        side = "up"
    kind = "resnets" if part == "0" else "attentions"
    return f"{side}_blocks_{block}_{kind}_{index}_{RESNET.get(rest, rest)}"
