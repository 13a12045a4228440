"""Check what a single file's metadata says about it, and what one pass shows if it says nothing."""

import json
import shutil

import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from inpaint import paths
from inpaint.models import model_spec, prediction_probe, single_file
from inpaint.models.diffusers_folder import Folder
from inpaint.models.loading import load
from inpaint.models.single_file import SingleFile
from tests.conftest import GOLDEN

LDM, CONFIG = GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors", GOLDEN / "model_diffusers"
V, EPS, TRAILING = "v_prediction", "epsilon", {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}


@pytest.mark.parametrize(
    ("keys", "metadata", "found"),
    [
        ((), {}, {}),
        (("v_pred",), {}, {"prediction_type": V}),
        (("v_pred", "ztsnr"), {}, {"prediction_type": V, **TRAILING}),
        (("ztsnr",), {}, TRAILING),
        ((), {"modelspec.prediction_type": "v"}, {"prediction_type": V}),
        ((), {"modelspec.prediction_type": "V-Prediction"}, {"prediction_type": V}),
        ((), {"modelspec.prediction_type": "epsilon"}, {"prediction_type": EPS}),
        ((), {"modelspec.predict_key": "v"}, {"prediction_type": V}),
        ((), {"modelspec.architecture": "stable-diffusion-v2-768-v"}, {"prediction_type": V}),
        ((), {"modelspec.architecture": "stable-diffusion-v2-512"}, {}),
        ((), {"modelspec.prediction_type": "something new"}, {}),
        ((), {"ss_v_parameterization": "True", "ss_zero_terminal_snr": "True"}, {"prediction_type": V, **TRAILING}),
        ((), {"ss_v_parameterization": "False", "ss_zero_terminal_snr": "False"}, {}),
        (("v_pred",), {"modelspec.prediction_type": "epsilon"}, {"prediction_type": V}),
    ],
)
def test_metadata_of_a_file_is_used(keys, metadata, found):
    assert model_spec.schedule(keys, metadata) == found


def test_the_size_it_was_trained_at():
    sides = {"768x768": 768, "512": 512, "640x960": 960, "": None, "large": None, "1e9x2": None}
    assert {text: model_spec.side({"modelspec.resolution": text}) for text in sides} == sides
    assert model_spec.side({}) is None


def marked(path, keys=(), metadata=None, weights=None):
    """The tiny model with marker tensors among its weights and notes in its metadata."""
    extra = {key: torch.zeros(0) for key in keys}
    save_file({**load_file(LDM), **(weights or {}), **extra}, path, metadata=metadata)
    return path


@pytest.mark.parametrize(
    ("keys", "metadata"), [(("v_pred",), {}), ((), {"modelspec.prediction_type": "v"}), (("v_pred", "ztsnr"), {})]
)
def test_a_marked_file_runs_as_diffusers_runs_it(keys, metadata, tmp_path):
    """One step of DDIM from the same x, by diffusers' scheduler with the same statements."""
    model = load(str(marked(tmp_path / "v.safetensors", keys, metadata)), config=str(CONFIG), dtype="float32")
    assert model.predicts == {"base": V} and not model.notes
    settings = {**json.loads((CONFIG / "scheduler" / "scheduler_config.json").read_text()), "prediction_type": V}
    scheduler = DDIMScheduler.from_config({**settings, **(TRAILING if "ztsnr" in keys else {})})
    torch.testing.assert_close(model.alphas_cumprod.float(), scheduler.alphas_cumprod, rtol=1e-4, atol=1e-6)
    assert float(model.alphas_cumprod[-1] == 0) == ("ztsnr" in keys)


def test_the_files_own_word_goes_before_the_yaml_and_the_folder(tmp_path):
    path = marked(tmp_path / "mine.safetensors", ("v_pred",))
    (tmp_path / "mine.json").write_text((GOLDEN / "model_ldm" / "tiny_sd_v1.json").read_text())  # which says eps
    assert SingleFile(path, CONFIG).predicts() == V
    assert SingleFile(marked(tmp_path / "plain.safetensors"), CONFIG).predicts() == EPS


def wide(turned):
    """The weights of the tiny UNet's text layers for text 1024 wide; `turned` makes it predict the opposite."""
    weights = {key: value for key, value in load_file(LDM).items() if ".attn2.to_k." in key or ".attn2.to_v." in key}
    weights = {key: torch.zeros(len(value), 1024, dtype=value.dtype) for key, value in weights.items()}
    if turned:
        last = {key: value for key, value in load_file(LDM).items() if key.startswith("model.diffusion_model.out.2.")}
        weights |= {key: -value for key, value in last.items()}
    return weights


@pytest.mark.parametrize("turned", [False, True])
def test_a_file_of_stable_diffusion_2_without_metadata_is_recognised_by_one_pass(turned, tmp_path, monkeypatch):
    folder = shutil.copytree(CONFIG, tmp_path / "sd2")
    config = json.loads((folder / "unet" / "config.json").read_text())
    (folder / "unet" / "config.json").write_text(json.dumps({**config, "cross_attention_dim": 1024}))
    monkeypatch.setattr(single_file, "CONFIGS", tmp_path)
    source = SingleFile(marked(tmp_path / "mine.safetensors", weights=wide(turned)))
    assert source.predicts() == (V if turned else EPS)
    assert source.side() == (768 if turned else 8 * config["sample_size"])
    assert [note.endswith("a test pass shows that it is v.") for note in source.notes] == ([True] if turned else [])
    told = SingleFile(
        marked(
            tmp_path / "told.safetensors",
            metadata={"modelspec.prediction_type": "epsilon", "modelspec.resolution": "640x640"},
            weights=wide(turned),
        )
    )
    monkeypatch.setattr(prediction_probe, "predicts_v", None)  # it is not asked again
    monkeypatch.setattr(single_file, "predicts_v", None)
    assert told.predicts() == EPS and told.side() == 640


def test_one_pass_distinguishes_v_from_eps():
    """The built-in model predicts v; the same network made to predict eps is told from it, with 4 channels and 9."""
    folder = Folder(paths.MODEL)
    model = load("builtin", dtype="float32")
    a = float(model.alphas_cumprod[-1])
    for method in folder.methods:
        network = folder.unet(method, torch.float32)
        assert prediction_probe.predicts_v(network)
        real = network.forward

        def eps(x, t, encoder_hidden_states, real=real):
            found = real(x, t, encoder_hidden_states=encoder_hidden_states)
            found.sample = a**0.5 * found.sample + (1 - a) ** 0.5 * x[:, :4]
            return found

        network.forward = eps
        assert not prediction_probe.predicts_v(network)


def test_the_probe_needs_no_more_of_a_unet_than_diffusers_gives():
    network = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(CONFIG / "unet"))
    assert prediction_probe.predicts_v(network) in (True, False)
