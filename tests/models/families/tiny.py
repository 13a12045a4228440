"""Make tiny random models of each family, and walk them with our loop and with diffusers' pipeline."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxFillPipeline,
    FluxInpaintPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3InpaintPipeline,
    StableDiffusionXLInpaintPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from inpaint import paths
from inpaint.diffusion.noise import Noise
from inpaint.diffusion.sampling import InpaintUNet, MaskedBase, denoise
from inpaint.diffusion.schedulers import sampler

SIDE = 64
PROMPT, NEGATIVE = "a red scarf, wool", "rain and fog"
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def vae(channels: int = 4, **options) -> AutoencoderKL:
    """A VAE whose posterior has next to no spread, so that a sample of it is its mode."""
    network = AutoencoderKL(
        block_out_channels=[8, 16, 16, 16],
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        latent_channels=channels,
        norm_num_groups=8,
        sample_size=SIDE,
        **options,
    )
    last = network.quant_conv or network.encoder.conv_out
    with torch.no_grad():
        last.weight[channels:], last.bias[channels:] = 0, -30
    return network.eval()


def clip(cls=CLIPTextModel, width: int = 32, **options):
    config = CLIPTextConfig(
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=49407,
        hidden_size=width,
        intermediate_size=37,
        layer_norm_eps=1e-5,
        num_attention_heads=4,
        num_hidden_layers=3,
        vocab_size=49408,
        projection_dim=width,
        hidden_act="gelu",
        **options,
    )
    return cls(config).eval()


def clip_tokenizer(pad: str = "<|endoftext|>") -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(str(paths.CLIP), pad_token=pad)


def sdxl(channels: int = 4) -> StableDiffusionXLInpaintPipeline:
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=2,
        sample_size=SIDE // 8,
        in_channels=channels,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=6 * 8 + 32,
        cross_attention_dim=64,
    )
    return StableDiffusionXLInpaintPipeline(
        vae=vae(scaling_factor=0.13025),
        text_encoder=clip(),
        text_encoder_2=clip(CLIPTextModelWithProjection),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer("!"),
        unet=unet.eval(),
        scheduler=DDIMScheduler(**SCHEDULE, clip_sample=False, set_alpha_to_one=False),
        add_watermarker=False,
    )


def t5() -> tuple[T5Tokenizer, T5EncoderModel]:
    """A T5 that spells words, and its tokenizer."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("▁", -2.0)]
    pieces += [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz,"]
    tokenizer = T5Tokenizer(vocab=pieces, extra_ids=0)
    config = T5Config(
        vocab_size=len(tokenizer) + 4, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, dropout_rate=0
    )
    return tokenizer, T5EncoderModel(config).eval()


def sd3(with_t5: bool = True) -> StableDiffusion3InpaintPipeline:
    torch.manual_seed(0)
    tokenizer, encoder = t5()
    transformer = SD3Transformer2DModel(
        sample_size=SIDE // 8,
        patch_size=2,
        in_channels=16,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=32,
        caption_projection_dim=32,
        pooled_projection_dim=32,
        out_channels=16,
        qk_norm="rms_norm",
        dual_attention_layers=(0,),
        pos_embed_max_size=16,
    )
    return StableDiffusion3InpaintPipeline(
        vae=vae(16, shift_factor=0.0609, scaling_factor=1.5305, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=clip(CLIPTextModelWithProjection, 16),
        text_encoder_2=clip(CLIPTextModelWithProjection, 16),
        text_encoder_3=encoder if with_t5 else None,
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer("!"),
        tokenizer_3=tokenizer if with_t5 else None,
        transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


def flux(kind: str = "dev") -> FluxInpaintPipeline | FluxFillPipeline:
    """dev, schnell or fill."""
    torch.manual_seed(0)
    tokenizer, encoder = t5()
    transformer = FluxTransformer2DModel(
        in_channels=384 if kind == "fill" else 64,
        out_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=kind != "schnell",
        axes_dims_rope=(4, 4, 8),
    )
    return (FluxFillPipeline if kind == "fill" else FluxInpaintPipeline)(
        vae=vae(16, shift_factor=0.1159, scaling_factor=0.3611, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=clip(),
        text_encoder_2=encoder,
        tokenizer=clip_tokenizer(),
        tokenizer_2=tokenizer,
        transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=kind != "schnell"),
    )


def saved(pipeline, folder: Path) -> Path:
    """Save a pipeline in diffusers' layout."""
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """A picture [1, 3, H, W] in [-1, 1] and a hard mask [1, 1, H, W]."""
    picture = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., 16:48, 16:40] = 1
    return picture, mask


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(3 + k) for k in range(count)]


class FromNoise(MaskedBase):
    """As diffusers' pipelines do at strength 1: the first step sees noise everywhere, not only in the hole.

    Ours begins with the picture noised to the first level there, which differs as long as that level is not noise
    alone; below strength 1, and for a flow, both are the same.
    """

    def blend(self, x, t):
        blended = super().blend(x, t)
        first, self.begun = not getattr(self, "begun", False), True
        return x if first else blended


@torch.no_grad()
def walked(model, method: str, w: float, strength: float, count: int, steps: int, noise=None):
    """Return the latents that our loop ends with."""
    picture, mask = scene()
    x0, x0_masked = model.encode(picture), model.encode(picture * (mask < 0.5))
    text = model.embed([NEGATIVE, PROMPT]).repeat_interleave(count, 0)
    noise = Noise(tuple(3 + k for k in range(count)), tuple(x0.shape[1:]))() if noise is None else noise
    told = model.embeds_guidance(method)
    walker = sampler("ddim", model, steps, strength, tokens=SIDE**2 // model.grid**2)
    hole = mask[..., :: model.factor, :: model.factor]
    masked = FromNoise if strength == 1 else MaskedBase
    strategy = masked(x0, lambda t: hole, walker, lambda: noise, two_sided=False)
    if method == "inpaint":
        context = model.context(hole, mask, x0_masked)
        strategy = InpaintUNet(lambda t: context)
    x = noise if strength == 1 else walker.q_sample(x0, walker.timesteps[0], noise)
    unet = model.unet(method, guidance=w if told else None)
    *_, last = denoise(unet, text, strategy, walker, x, 1.0 if told else w)
    return strategy.restore(last.x)


def reference(pipeline, model, w: float, strength: float, count: int, steps: int) -> torch.Tensor:
    """The latents that diffusers' pipeline ends with, on the scene that `walked` walks."""
    picture, mask = scene()
    with torch.no_grad():
        x0, x0_masked = model.encode(picture), model.encode(picture * (mask < 0.5))
    return pipeline(
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        image=x0,
        mask_image=mask,
        masked_image_latents=x0_masked,
        height=SIDE,
        width=SIDE,
        strength=strength,
        num_inference_steps=steps,
        guidance_scale=w,
        num_images_per_prompt=count,
        output_type="latent",
        generator=generators(count),
    ).images
