"""Compare FLUX.1 dev, schnell and Fill with diffusers' pipelines."""

import pytest
import torch

from tests.models.families import tiny

pytestmark = pytest.mark.filterwarnings("ignore")  # the pipeline warns about its own configuration


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("kind", ["dev", "schnell", "fill"])
def test_equal_to_diffusers(both, kind, strength, count):
    pipeline, model = both(kind)
    method = "inpaint" if kind == "fill" else "base"
    picture, mask = tiny.scene()
    noise = None
    shown = {"image": picture}
    if kind == "fill":  # its pipeline samples the picture's latents first
        drawn = tiny.generators(count)
        torch.randn(1, 16, 8, 8, generator=drawn[0])
        noise = torch.cat([torch.randn(1, 16, 8, 8, generator=each) for each in drawn])
    else:
        with torch.no_grad():
            shown = {"image": model.encode(picture), "masked_image_latents": model.encode(picture * (mask < 0.5))}
    reference = pipeline(
        prompt=tiny.PROMPT,
        mask_image=mask,
        height=tiny.SIDE,
        width=tiny.SIDE,
        strength=strength,
        num_inference_steps=5,
        guidance_scale=4.0,
        num_images_per_prompt=count,
        output_type="latent",
        generator=tiny.generators(count),
        **shown,
    ).images
    w = 1.0 if kind == "schnell" else 4.0
    ours = tiny.walked(model, method, w, strength, count, 5, noise)
    reference = pipeline._unpack_latents(reference, tiny.SIDE, tiny.SIDE, pipeline.vae_scale_factor)
    torch.testing.assert_close(ours, reference, atol=2e-4, rtol=1e-4)


def test_what_suits_each_kind(both):
    models = {kind: both(kind)[1] for kind in ("dev", "schnell", "fill")}
    assert {kind: model.guidance for kind, model in models.items()} == {
        "dev": {"base": 3.5},
        "schnell": {"base": 1.0},
        "fill": {"inpaint": 30.0},
    }
    assert all(model.side == 1024 and model.grid == 16 for model in models.values())
