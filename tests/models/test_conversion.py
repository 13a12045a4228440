"""Check that diffusers' converters, which may change with any version, are there and take our arguments."""

import inspect

import pytest
from diffusers.loaders import single_file_model, single_file_utils

from inpaint import ModelError
from inpaint.models import conversion
from inpaint.models.loading import load
from tests.conftest import GOLDEN

LDM, CONFIG = GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors", GOLDEN / "model_diffusers"


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("convert_ldm_unet_checkpoint", ["checkpoint", "config"]),
        ("convert_ldm_vae_checkpoint", ["checkpoint", "config"]),
        ("convert_ldm_clip_checkpoint", ["checkpoint"]),
        ("convert_open_clip_checkpoint", ["text_model", "checkpoint", "prefix"]),
        ("create_unet_diffusers_config_from_ldm", ["original_config", "checkpoint"]),
        ("create_vae_diffusers_config_from_ldm", ["original_config", "checkpoint"]),
    ],
)
def test_the_converters_are_where_they_were(name, first):
    assert list(inspect.signature(getattr(single_file_utils, name)).parameters)[: len(first)] == first


def test_a_converter_that_has_gone_is_one_sentence(monkeypatch):
    assert single_file_model  # imported before: it takes the converters too
    monkeypatch.delattr(single_file_utils, "convert_ldm_unet_checkpoint")
    with pytest.raises(ModelError, match=r"diffusers .* cannot convert models in one file\. Install"):
        load(str(LDM), config=str(CONFIG))


def test_weights_of_another_naming_are_left_out():
    """A text encoder finds its weights with and without the prefix that transformers 5 has dropped."""
    from inpaint.models.single_file import SingleFile

    source = SingleFile(LDM, CONFIG)
    encoder = source.text_encoder(None)
    weights = conversion.text_weights(source._tensors(), encoder)
    assert weights.keys() == encoder.state_dict().keys() - {
        "embeddings.position_ids",
        "text_model.embeddings.position_ids",
    }
