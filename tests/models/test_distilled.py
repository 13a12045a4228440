"""Check latent consistency models, whose UNet takes the guidance scale as an input, against diffusers."""

import json
import shutil

import pytest
import torch
from diffusers import LatentConsistencyModelPipeline, UNet2DConditionModel

import inpaint
from inpaint import Request
from inpaint.models.loading import load
from inpaint.unet.forward import guidance_embedding


@pytest.fixture(scope="module")
def distilled(both_unets, tmp_path_factory):
    """The tiny model with random UNets that take a `timestep_cond`."""
    folder = shutil.copytree(both_unets, tmp_path_factory.mktemp("lcm") / "tiny")
    for part in ("unet", "unet_inpainting"):
        config = json.loads((folder / part / "config.json").read_text())
        torch.manual_seed(0)
        network = UNet2DConditionModel.from_config({**config, "time_cond_proj_dim": 64})
        torch.nn.init.normal_(network.time_embedding.cond_proj.weight, std=0.5)
        network.save_pretrained(folder / part)
    return folder


def theirs(scale, size):
    return LatentConsistencyModelPipeline.get_guidance_scale_embedding(None, torch.tensor([scale - 1.0]), size)


@pytest.mark.parametrize("size", [64, 256, 7])
@pytest.mark.parametrize("scale", [1.0, 7.5, 8.5])
def test_the_scale_is_encoded_in_diffusers_sinusoids(scale, size):
    torch.testing.assert_close(guidance_embedding(scale, size), theirs(scale, size), rtol=1e-4, atol=1e-4)


def test_the_unet_predicts_what_diffusers_does(distilled):
    model, network = load(str(distilled), dtype="float32"), UNet2DConditionModel.from_pretrained(distilled / "unet")
    x, text = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)), model.embed(["a cat", "a dog"])
    found = {}
    for scale in (2.0, 8.0):
        with torch.no_grad():
            wanted = network(x, 301, encoder_hidden_states=text, timestep_cond=theirs(scale, 64).expand(2, -1)).sample
        found[scale] = model.unet("base", guidance=scale)(x, 301, text)
        torch.testing.assert_close(found[scale], wanted, rtol=1e-4, atol=1e-4)
    assert (found[2.0] - found[8.0]).abs().max() > 1e-3  # it makes a difference


@pytest.mark.parametrize("method", ["base", "inpaint"])
def test_a_picture_takes_one_pass_a_step_with_the_scale_that_was_asked_for(distilled, method, photo, monkeypatch):
    painter, told = inpaint.load(str(distilled), dtype="float32"), []
    painter.model.unet(method)
    network, real = painter.model.unets[method], painter.model.unets[method].forward

    def forward(x, *args, timestep_cond=None, **kwargs):
        told.append((len(x), timestep_cond.clone()))
        return real(x, *args, timestep_cond=timestep_cond, **kwargs)

    monkeypatch.setattr(network, "forward", forward)
    request = Request("a cat", photo, method=method, sampler="lcm", steps=3, size=64, seed=1, guidance_scale=4.0)
    assert painter(request).image.size == photo.size
    assert len(told) == 3 and all(n == 1 for n, _ in told)
    torch.testing.assert_close(told[0][1], theirs(4.0, 64), rtol=1e-4, atol=1e-4)
