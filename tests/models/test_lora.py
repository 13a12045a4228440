"""LoRA files: in both namings, several at once, and out again to the bit."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from inpaint import ModelError
from inpaint.models import lora
from inpaint.models.loading import load
from tests.conftest import GOLDEN

LDM, CONFIG = GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors", GOLDEN / "model_diffusers"
LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture
def model():
    return load(str(LDM), config=str(CONFIG), dtype="float32")


def matrices(rank, seed=0, width=32):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(width, rank, generator=generator) * 0.2, torch.randn(rank, width, generator=generator) * 0.2)


def kohya(path, rank=4, alpha=2.0, seed=0):
    up, down = matrices(rank, seed)
    text_up, text_down = matrices(rank, seed + 1)
    unet, text = f"lora_unet_{LAYER.replace('.', '_')}", "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    save_file(
        {
            f"{unet}.lora_up.weight": up,
            f"{unet}.lora_down.weight": down,
            f"{unet}.alpha": torch.tensor(alpha),
            f"{text}.lora_up.weight": text_up,
            f"{text}.lora_down.weight": text_down,
            f"{text}.alpha": torch.tensor(alpha),
        },
        path,
    )
    return alpha / rank * up @ down


def diffusers(path, rank=4, seed=3):
    up, down = matrices(rank, seed)
    save_file({f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}, path)
    return up @ down


def weight(model):
    model.unet("base")
    return dict(model.unets["base"].named_modules())[LAYER].weight.detach().clone()


def output(model):
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    return model.unet("base")(x, 301, model.embed(["a cat"]))


def test_the_effect_is_the_product_and_removal_restores_every_bit(model, tmp_path):
    before, plain, words = output(model), weight(model), model.embed(["a cat"])
    delta = kohya(tmp_path / "k.safetensors")
    model.set_loras([(str(tmp_path / "k.safetensors"), 0.5)])
    torch.testing.assert_close(weight(model), plain + 0.5 * delta)
    assert not torch.equal(output(model), before) and not torch.equal(model.embed(["a cat"]), words)
    model.set_loras([])
    assert torch.equal(weight(model), plain) and torch.equal(output(model), before)
    assert torch.equal(model.embed(["a cat"]), words)


def test_several_add_up_in_both_namings(model, tmp_path):
    output(model)
    plain = weight(model)
    one, two = kohya(tmp_path / "k.safetensors"), diffusers(tmp_path / "d.safetensors")
    model.set_loras([f"{tmp_path / 'k.safetensors'}:0.8", f"{tmp_path / 'd.safetensors'}:-0.3"])
    torch.testing.assert_close(weight(model), plain + 0.8 * one - 0.3 * two)
    model.set_loras([f"{tmp_path / 'd.safetensors'}"])
    torch.testing.assert_close(weight(model), plain + two)


def test_given_at_load_they_reach_a_unet_that_loads_later(tmp_path):
    delta = diffusers(tmp_path / "d.safetensors")
    plain = load(str(LDM), config=str(CONFIG), dtype="float32")
    output(plain)
    model = load(str(LDM), config=str(CONFIG), dtype="float32", loras=[str(tmp_path / "d.safetensors")])
    output(model)
    torch.testing.assert_close(weight(model), weight(plain) + delta)


def test_what_does_not_fit_is_one_sentence_and_changes_nothing(model, tmp_path):
    before = output(model)
    wide = tmp_path / "wide.safetensors"
    up, down = matrices(4, width=64)
    save_file({f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}, wide)
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    save_file({"other": torch.zeros(2)}, tmp_path / "other.safetensors")
    for path, words in (
        (wide, "does not fit"),
        (tmp_path / "broken.safetensors", "no LoRA"),
        (tmp_path / "other.safetensors", "no LoRA"),
        (tmp_path / "none.safetensors", "no LoRA"),
    ):
        with pytest.raises(ModelError, match=words):
            model.set_loras([str(path)])
        assert torch.equal(output(model), before)


def test_the_ones_from_before_stay_if_a_new_one_fails(model, tmp_path):
    delta = kohya(tmp_path / "k.safetensors")
    output(model)
    plain, name = weight(model), model.fingerprint
    model.set_loras([str(tmp_path / "k.safetensors")])
    merged = model.fingerprint
    with pytest.raises(ModelError):
        model.set_loras([str(tmp_path / "none.safetensors")])
    torch.testing.assert_close(weight(model), plain + delta)
    assert model.fingerprint == merged != name
    model.set_loras([])
    assert model.fingerprint == name


def test_the_models_own_file_is_never_written(tmp_path):
    """In the file's own precision the weights are mapped from it, and LoRAs change them in place."""
    path = tmp_path / "own.safetensors"
    save_file({key: value.float() for key, value in load_file(LDM).items()}, path)
    before, delta = path.read_bytes(), kohya(tmp_path / "k.safetensors")
    model = load(str(path), config=str(CONFIG), dtype="float32")
    plain = weight(model)
    model.set_loras([str(tmp_path / "k.safetensors")])
    torch.testing.assert_close(weight(model), plain + delta)
    assert path.read_bytes() == before
    model.unets.clear()  # as when networks take turns
    torch.testing.assert_close(weight(model), plain + delta)


def test_alpha_is_read_wherever_it_is_written(model, tmp_path):
    up, down = matrices(4)
    weights = {f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}
    plain = weight(model)
    save_file(
        weights,
        tmp_path / "notes.safetensors",
        metadata={"lora_adapter_metadata": json.dumps({"unet.r": 4, "unet.lora_alpha": 8})},
    )
    save_file({**weights, f"unet.{LAYER}.alpha": torch.tensor(8.0)}, tmp_path / "key.safetensors")
    for name in ("notes", "key"):
        model.set_loras([(str(tmp_path / f"{name}.safetensors"), 0.5)])
        torch.testing.assert_close(weight(model), plain + up @ down)


def test_half_understood_is_not_understood(model, tmp_path):
    up, down = matrices(4)
    weights = {f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}
    for key, words in (
        (f"unet.{LAYER}.lora_magnitude_vector", "DoRA"),
        (f"unet.{LAYER}.hada_w1_a", "no LoRA"),
        ("unet.other.lora_A.weight", "no LoRA"),
        ("text_encoder_2.x.lora_A.weight", "no LoRA"),
    ):
        save_file({**weights, key: torch.zeros(4, 32)}, tmp_path / "odd.safetensors")
        with pytest.raises(ModelError, match=words):
            model.set_loras([str(tmp_path / "odd.safetensors")])


def test_paths_and_weights():
    assert lora.parse("a.safetensors:0.8") == ("a.safetensors", 0.8)
    assert lora.parse("a.safetensors") == ("a.safetensors", 1.0)
    assert lora.parse("c:\\loras\\a.safetensors") == ("c:\\loras\\a.safetensors", 1.0)
    assert lora.parse(("a", 2)) == ("a", 2.0)
    for weight in ("99", "nan", "-inf"):
        with pytest.raises(ModelError, match="out of range"):
            lora.parse(f"a.safetensors:{weight}")
