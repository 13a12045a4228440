"""Compare Stable Diffusion XL with diffusers' pipeline, and check what only it has."""

import pytest
import torch

from inpaint import InvalidRequest
from tests.models.families import tiny

pytestmark = pytest.mark.filterwarnings("ignore")  # the pipeline warns about its own configuration


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("w", [1.0, 5.0])
@pytest.mark.parametrize("method", ["base", "inpaint"])
def test_equal_to_diffusers(both, method, w, strength, count):
    pipeline, model = both("sdxl" if method == "base" else "sdxl-inpaint")
    assert model.methods == (method,)
    picture, mask = tiny.scene()
    with torch.no_grad():
        x0, x0_masked = model.encode(picture), model.encode(picture * (mask < 0.5))
    reference = pipeline(
        prompt=tiny.PROMPT,
        negative_prompt=tiny.NEGATIVE,
        image=x0,
        mask_image=mask,
        masked_image_latents=x0_masked,
        height=tiny.SIDE,
        width=tiny.SIDE,
        strength=strength,
        num_inference_steps=5,
        guidance_scale=w,
        num_images_per_prompt=count,
        output_type="latent",
        generator=tiny.generators(count),
    ).images
    ours = tiny.walked(model, method, w, strength, count, 5)
    torch.testing.assert_close(ours, reference, atol=2e-4, rtol=1e-4)


def test_an_empty_negative_prompt_is_zeros(both):
    pipeline, model = both("sdxl")
    words, none, pooled, pooled_none = pipeline.encode_prompt(tiny.PROMPT, negative_prompt=None, device="cpu")
    text = model.embed(["", tiny.PROMPT])
    torch.testing.assert_close(text[0], torch.cat([none, words]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(text[1], torch.cat([pooled_none, pooled]), atol=1e-5, rtol=1e-5)
    assert not text[0][0].any() and not text[1][0].any()


def test_a_prompt_longer_than_a_chunk(both):
    text = both("sdxl")[1].embed(["", "a cat " * 60])
    assert text[0].shape == (2, 154, 64) and text[1].shape == (2, 32)


def test_the_vae_is_read_in_float32_where_float16_overflows():
    from inpaint.models.families.sdxl import StableDiffusionXL

    half = torch.float16
    assert StableDiffusionXL().vae_dtype({}, half) is torch.float32
    assert StableDiffusionXL().vae_dtype({"force_upcast": False}, half) is half
    assert StableDiffusionXL().vae_dtype({}, torch.bfloat16) is torch.bfloat16


def test_another_text_layer_is_refused(both):
    with pytest.raises(InvalidRequest, match="text layer"):
        both("sdxl")[1].embed(["", "x"], layer="hidden")
