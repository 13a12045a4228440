"""Check TAESD, a small VAE: for previews, and in place of a model's own."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny

import inpaint
from inpaint import ModelError, Step
from inpaint.pipeline.latents import to_images
from tests.devices.conftest import assert_same, request_of
from tests.devices.emulation import Emulated


@pytest.fixture(scope="module")
def taesd(tmp_path_factory):
    """Channels of a latent -> a folder with a tiny random TAESD."""

    def make(channels: int = 4, name: str = "taesd"):
        folder = tmp_path_factory.mktemp("small") / name
        torch.manual_seed(channels)
        sizes = (8, 8, 8, 8)
        AutoencoderTiny(
            encoder_block_out_channels=sizes, decoder_block_out_channels=sizes, latent_channels=channels
        ).save_pretrained(folder)
        return folder

    return make


def load(folder, **options):
    return inpaint.load(str(folder), dtype="float32", **options)


def test_previews_are_what_it_decodes(both_unets, taesd):
    folder = taesd()
    network, painter = AutoencoderTiny.from_pretrained(folder), load(both_unets, previews=str(folder))
    plain = load(both_unets)
    *steps, result = painter.stream(request_of(steps=3))
    *before, same = plain.stream(request_of(steps=3))
    assert result.image.tobytes() == same.image.tobytes(), "only the previews differ"
    for step, linear in zip(steps, before, strict=True):
        assert isinstance(step, Step) and step.preview(64).size == linear.preview(64).size
        with torch.no_grad():
            expected = to_images(network.decode(step.pred_x0).sample)[0]
        assert step.scene.preview(step.pred_x0).tobytes() == expected.tobytes()
    shown, plain_shown = np.asarray(steps[-1].preview(64), int), np.asarray(before[-1].preview(64), int)
    moved = np.abs(shown - plain_shown).max(-1) > 0
    assert 0 < moved.sum() < moved.size / 2, "the patch is another one, the picture around it is not"


def test_the_patch_lies_where_it_belongs(both_unets, taesd, monkeypatch):
    """A small VAE that paints a ramp, black to white, shows which of its columns are pasted where."""
    painter = load(both_unets, previews=str(taesd()))
    *steps, _ = painter.stream(request_of(steps=2))
    step, ramp = steps[-1], torch.linspace(-1, 1, 64)
    monkeypatch.setattr(painter.model, "preview", lambda latents: ramp.expand(1, 3, 64, 64))
    shown = np.asarray(step.preview(64), int)
    monkeypatch.setattr(painter.model, "preview", lambda latents: -torch.ones(1, 3, 64, 64))
    black = np.asarray(step.preview(64), int)
    assert step.scene.crop.box.size == (64, 64) and black.shape == (64, 64, 3)
    inside = (black == 0).all(-1)
    expected = np.broadcast_to(np.arange(64)[None] * 255 / 63, (64, 64))
    assert inside.sum() > 50 and np.abs(shown.mean(-1) - expected)[inside].max() < 12


def test_previews_with_nan_are_linear(both_unets, taesd, monkeypatch):
    painter = load(both_unets, previews=str(taesd()))
    *steps, _ = painter.stream(request_of(steps=2))
    small = painter.model.parts.previewer
    monkeypatch.setattr(small, "decode", lambda latents: torch.full((1, 3, 64, 64), torch.nan))
    step = steps[-1]
    assert step.scene.preview(step.pred_x0).tobytes() == step.scene.look(step.pred_x0).tobytes()


def test_it_takes_the_place_of_the_vae(both_unets, taesd):
    folder = taesd()
    network, model = AutoencoderTiny.from_pretrained(folder), load(both_unets, vae=str(folder)).model
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        latents = network.encode(pixels).latents
        torch.testing.assert_close(model.encode(pixels), latents, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(model.decode(latents), network.decode(latents).sample, atol=1e-5, rtol=1e-5)
    result = load(both_unets, vae=str(folder))(request_of(steps=2, count=2))
    assert result.report["max_change_outside"] == 0


def test_one_of_another_family_is_refused(both_unets, taesd):
    for options, words in (
        ({"previews": str(taesd(16))}, "has latents of 16 channels, and .* of 4"),
        ({"previews": str(taesd(4, "taesdxl"))}, "is the VAE of Stable Diffusion XL"),
        ({"previews": "nowhere/to/be/found"}, "no model"),
    ):
        with pytest.raises(ModelError, match=words) as error:
            load(both_unets, **options)
        assert error.value.advice
    with pytest.raises(ModelError, match="toy model takes no previews"):
        inpaint.load("toy", previews="x")


@pytest.mark.parametrize("memory", ["resident", "offload"])
def test_an_emulated_device_gives_the_cpus_pictures(both_unets, taesd, memory):
    folder, request = str(taesd()), request_of(steps=2)
    for options in ({"previews": folder}, {"vae": folder}):
        *steps, expected = load(both_unets, device="cpu", **options).stream(request)
        with Emulated("cuda"):
            *placed, result = load(both_unets, device="cuda", memory=memory, **options).stream(request)
            assert_same(result, expected)
            shown = [np.asarray(step.preview(64), int) for step in (placed[-1], steps[-1])]
            assert np.abs(shown[0] - shown[1]).max() <= 2
