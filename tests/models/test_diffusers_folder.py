"""Check folders in diffusers' layout: weights in several files, odd configurations, missing parts."""

import json
import shutil

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

from inpaint import ModelError
from inpaint.models import diffusers_folder
from inpaint.models.loading import find, load

UNET = "diffusion_pytorch_model"


@pytest.fixture
def folder(both_unets, tmp_path):
    return shutil.copytree(both_unets, tmp_path / "tiny")


def edit(folder, part, file="config.json", **changes):
    path = folder / part / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def sharded(folder, variant=None):
    network = UNet2DConditionModel.from_pretrained(folder / "unet")
    shutil.rmtree(folder / "unet")
    network.save_pretrained(folder / "unet", max_shard_size="1MB", variant=variant)
    return network


@pytest.mark.parametrize("variant", [None, "fp16"])
def test_weights_in_several_files(folder, variant):
    network = sharded(folder, variant)
    files = diffusers_folder.files(folder / "unet")
    assert len(files) > 1
    model = load(str(folder), dtype="float32")
    model.unet("base")
    for (name, ours), theirs in zip(model.unets["base"].named_parameters(), network.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
    assert find(str(folder)).source.unet_files("base") == files


def test_one_whole_file_goes_before_shards(folder):
    sharded(folder)
    save_file({"a": torch.zeros(1)}, folder / "unet" / f"{UNET}.safetensors")
    assert [file.name for file in diffusers_folder.files(folder / "unet")] == [f"{UNET}.safetensors"]


def test_shards_that_are_not_all_there(folder):
    sharded(folder)
    shards = diffusers_folder.files(folder / "unet")
    index = folder / "unet" / f"{UNET}.safetensors.index.json"
    shards[-1].unlink()
    with pytest.raises(ModelError, match=rf"1 are missing, such as {shards[-1].name}"):
        find(str(folder))
    index.write_text(json.dumps({"weight_map": {"a": "../../secret.safetensors"}}))
    with pytest.raises(ModelError, match="missing"):
        find(str(folder))
    for text in ("{", "[]", '{"weight_map": 3}', '{"weight_map": {"a": 1}}'):
        index.write_text(text)
        with pytest.raises(ModelError, match=r"index unet/.* cannot be read"):
            find(str(folder))
    index.unlink()
    with pytest.raises(ModelError, match=r"without the index .*\.safetensors\.index\.json"):
        find(str(folder))


@pytest.mark.parametrize("part", ["unet", "unet_inpainting", "vae", "text_encoder"])
def test_a_quantized_part_is_named_as_that(folder, part):
    edit(folder, part, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(ModelError, match=r"tiny is quantized.*plain weights"):
        load(str(folder)).unet("base")


def test_a_size_of_two_numbers_is_a_size(folder):
    edit(folder, "unet", sample_size=[48, 64])
    assert load(str(folder)).side == 512


@pytest.mark.parametrize(
    ("part", "file", "changes"),
    [
        ("unet", "config.json", {"sample_size": "large"}),
        ("unet", "config.json", {"sample_size": {"a": 1}}),
        ("unet", "config.json", {"block_out_channels": 3}),
        ("unet", "config.json", {"down_block_types": ["NoSuchBlock"]}),
        ("vae", "config.json", {"block_out_channels": "x"}),
        ("text_encoder", "config.json", {"hidden_size": "x"}),
        ("scheduler", "scheduler_config.json", {"num_train_timesteps": "many"}),
        ("scheduler", "scheduler_config.json", {"beta_start": [1]}),
        ("scheduler", "scheduler_config.json", {"trained_betas": {"a": 1}}),
        ("scheduler", "scheduler_config.json", {"beta_schedule": "exotic"}),
        ("scheduler", "scheduler_config.json", {"prediction_type": "exotic"}),
    ],
)
def test_a_configuration_that_means_nothing_is_one_sentence(folder, part, file, changes):
    edit(folder, part, file, **changes)
    with pytest.raises(ModelError) as error:
        load(str(folder)).unet("base")
    assert error.value.advice and "\n" not in str(error.value)


def test_the_error_of_a_model_without_a_vae_explains_how_to_add_one(folder, both_unets):
    shutil.rmtree(folder / "vae")
    with pytest.raises(ModelError, match=r'tiny holds no VAE\. Name one with vae=, such as vae="sd15"'):
        load(str(folder))
    assert load(str(folder), vae=str(both_unets)).decode(torch.zeros(1, 4, 4, 4)).shape == (1, 3, 32, 32)
