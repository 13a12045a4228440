"""Say what a file seems to be that is no checkpoint which can be read, by the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable

KNOWN = "Choose a full checkpoint of Stable Diffusion 1.x, 2.x or XL, or a file of FLUX.1 or Stable Diffusion 3."
KINDS = (  # (the pattern of a name that only such files have, what to say)
    (
        r"lora_|.*\.lora|.*(hada|lokr)_",
        "It is a LoRA: name it with loras=, beside a model (on the command line --lora).",
    ),
    (
        r"emb_params$|clip_[lg]$|string_to_param",
        "It is a textual-inversion embedding: name it with embeddings= (on the command line --embedding).",
    ),
    (r"(encoder|decoder)\.conv_in", "It is a VAE: name it with vae=, beside a model (on the command line --vae)."),
    (r"(taesd_)?(encoder|decoder)\.layers\.\d+\.", "It is a TAESD, a small VAE for previews. " + KNOWN),
    (
        r".*(control_model|controlnet|input_hint_block|zero_convs)",
        "It is a ControlNet, which is not supported. " + KNOWN,
    ),
    (r".*(ip_adapter|image_proj\.)", "It is an IP-Adapter, which is not supported. " + KNOWN),
    (r".*motion_modules|.*time_stack|.*temporal_transformer", "It is a model for video. " + KNOWN),
    (r".*double_stream_modulation_img", "It is FLUX.2, which is not supported. " + KNOWN),
    (r".*(img_mod\.1|txt_norm)\.weight", "It is Qwen-Image, which is not supported. " + KNOWN),
    (
        r".*(cap_embedder|noise_refiner|context_refiner)\.",
        "It is Z-Image or Lumina, which is not supported. " + KNOWN,
    ),
    (r".*blocks\.\d+\.cross_attn\.norm_k", "It is Wan, a model for video. " + KNOWN),
    (r".*(double_layers|register_tokens)", "It is AuraFlow, which is not supported. " + KNOWN),
    (r"(text_encoders\.t5xxl\.transformer\.)?encoder\.block\.\d+\.layer", "It is T5, a text encoder. " + KNOWN),
    (r"text_model\.|transformer\.resblocks", "It is CLIP, a text encoder. " + KNOWN),
    (
        r"(single_)?transformer_blocks\.\d",
        "It is a transformer alone, in diffusers' naming: keep it in a folder in diffusers' layout.",
    ),
    (r"(input|down)_blocks\.", "It is a UNet alone; choose a full checkpoint of Stable Diffusion 1.x, 2.x or XL."),
)


def advice(names: Iterable[str]) -> str:
    """Return what to do with a file of these names."""
    names = list(names)
    for pattern, words in KINDS:
        if any(re.match(pattern, name) for name in names):
            return words
    return KNOWN
