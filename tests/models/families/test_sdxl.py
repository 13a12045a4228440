"""Compare Stable Diffusion XL with diffusers' pipeline, and check what only it has."""

import pytest
import torch

import inpaint
from inpaint import InvalidRequest, ModelError
from inpaint.models import vae_files
from tests.models.families import ldm, tiny

pytestmark = pytest.mark.filterwarnings("ignore")  # the pipeline warns about its own configuration


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("w", [1.0, 5.0])
@pytest.mark.parametrize("method", ["base", "inpaint"])
def test_equal_to_diffusers(both, method, w, strength, count):
    pipeline, model = both("sdxl" if method == "base" else "sdxl-inpaint")
    assert model.methods == (method,)
    reference = tiny.reference(pipeline, model, w, strength, count, 5)
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


@pytest.mark.parametrize("kind", ["sdxl", "sdxl-inpaint"])
def test_one_file_in_the_original_naming_is_the_same_model(made, both, kind, tmp_path):
    pipeline, folder = made(kind)
    path = ldm.saved(pipeline, tmp_path / "xl.safetensors")
    ours, theirs = inpaint.load(str(path), config=str(folder), dtype="float32", device="cpu").model, both(kind)[1]
    (method,) = ours.methods
    for name in ("vae", "unet"):
        mine, its = (
            (model.vae if name == "vae" else model._network(method)).state_dict() for model in (ours, theirs)
        )
        assert mine.keys() == its.keys() and all(torch.equal(mine[key], its[key]) for key in its)
    prompts = ["", tiny.PROMPT]
    for mine, its in zip(ours.embed(prompts).tensors, theirs.embed(prompts).tensors, strict=True):
        torch.testing.assert_close(mine, its, atol=1e-6, rtol=1e-5)


def test_a_file_says_that_it_predicts_v(made, tmp_path):
    pipeline, folder = made("sdxl")
    marks = {"v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)}
    path = ldm.saved(pipeline, tmp_path / "v.safetensors", **marks)
    model = inpaint.load(str(path), config=str(folder), dtype="float32", device="cpu").model
    assert model.predicts == {"base": "v_prediction"} and model.schedule["rescale_betas_zero_snr"]


def test_the_shipped_configurations_are_of_the_real_sizes():
    """2.57 billion weights in the UNet, and the two text encoders that it attends to side by side."""
    from accelerate import init_empty_weights
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    from inpaint.models.diffusers_folder import config
    from inpaint.paths import CONFIGS

    unet, text = (config(CONFIGS / "sdxl", part) for part in ("unet", "text_encoder_2"))
    with init_empty_weights():
        network = UNet2DConditionModel.from_config(unet)
        encoder = CLIPTextModelWithProjection(CLIPTextConfig(**text))
    assert sum(weight.numel() for weight in network.parameters()) == 2_567_463_684
    assert sum(weight.numel() for weight in encoder.parameters()) == 694_659_840


def test_another_vae_of_its_kind_takes_its_place_and_one_of_another_kind_is_refused(made, tmp_path):
    from safetensors.torch import save_file

    pipeline, folder = made("sdxl")
    options = {"config": str(folder), "dtype": "float32", "device": "cpu"}
    path = ldm.saved(pipeline, tmp_path / "xl.safetensors")
    for vae in (path, folder):
        model = inpaint.load(str(path), vae=str(vae), **options).model
        assert model.vae.config.scaling_factor == 0.13025
    generator = torch.Generator().manual_seed(0)
    own, other = (torch.randn(8, 512, 3, 3, generator=generator) for _ in range(2))
    for name, tensor in (("own", own), ("other", other)):
        save_file({vae_files.LAST: tensor}, tmp_path / f"{name}.safetensors")
    files = {name: [tmp_path / f"{name}.safetensors"] for name in ("own", "other")}
    vae_files.check_latents(files["own"], files["own"], "sdxl.safetensors", True, "sdxl")
    with pytest.raises(ModelError, match="no VAE of Stable Diffusion XL"):
        vae_files.check_latents(files["other"], files["own"], "any.safetensors", False, "sdxl")
