"""Check LoRA files: every naming, several at once, and removed again without a trace."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from inpaint import ModelError
from inpaint.models import lora, lora_keys
from inpaint.models.loading import load
from tests.conftest import DATA, GOLDEN

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


ATTENTION = LAYER.removesuffix(".to_q")
NAMINGS = {  # one layer's two matrices, as programs have written them
    "kohya": ("lora_unet_" + LAYER.replace(".", "_"), ".lora_down.weight", ".lora_up.weight"),
    "lycoris": ("lycoris_" + LAYER.replace(".", "_"), ".lora_down.weight", ".lora_up.weight"),
    "diffusers": (f"unet.{LAYER}", ".lora_A.weight", ".lora_B.weight"),
    "diffusers, before that": (f"unet.{LAYER}", ".lora.down.weight", ".lora.up.weight"),
    "diffusers, a layer": (f"unet.{LAYER}", ".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"),
    "diffusers, processors": (f"unet.{ATTENTION}.processor.to_q_lora", ".down.weight", ".up.weight"),
    "diffusers, only the UNet": (f"{ATTENTION}.processor.to_q_lora", ".down.weight", ".up.weight"),
    "peft": (f"base_model.model.{LAYER}", ".lora_A.weight", ".lora_B.weight"),
    "peft, in a pipeline": (f"unet.base_model.model.{LAYER}", ".lora_A.weight", ".lora_B.weight"),
    "peft, unsaved": (f"base_model.model.{LAYER}", ".lora_A.default.weight", ".lora_B.default.weight"),
    "ldm": (
        "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q",
        ".lora_down.weight",
        ".lora_up.weight",
    ),
    "kohya, ldm": (
        "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q",
        ".lora_down.weight",
        ".lora_up.weight",
    ),
}


@pytest.mark.parametrize("naming", NAMINGS)
def test_every_programs_names(naming, model, tmp_path):
    (layer, down_end, up_end), (up, down), plain = NAMINGS[naming], matrices(4), weight(model)
    saved = {f"{layer}{down_end}": down, f"{layer}{up_end}": up}
    alpha_of = f"unet.{LAYER}" if "processor" in layer else layer
    save_file({**saved, f"{alpha_of}.alpha": torch.tensor(2.0)}, tmp_path / "a.safetensors")
    model.set_loras([str(tmp_path / "a.safetensors")])
    torch.testing.assert_close(weight(model), plain + 0.5 * up @ down)


@pytest.mark.parametrize(
    "layer",
    [
        "lora_te_text_model_encoder_layers_0_self_attn_out_proj",
        "lora_te1_text_model_encoder_layers_0_self_attn_out_proj",
        "text_encoder.text_model.encoder.layers.0.self_attn.out_proj",
        "text_encoder.text_model.encoder.layers.0.self_attn.to_out",
        "base_model.model.text_model.encoder.layers.0.self_attn.out_proj",
        "base_model.model.encoder.layers.0.self_attn.out_proj",
        "text_encoder.base_model.model.text_model.encoder.layers.0.self_attn.out_proj",
    ],
)
def test_every_programs_names_of_the_text_encoders_layers(layer, model, tmp_path):
    up, down = matrices(4)
    save_file({f"{layer}.lora_A.weight": down, f"{layer}.lora_B.weight": up}, tmp_path / "a.safetensors")

    def now():
        return dict(lora_keys.modules(model.text.encoder, "text_encoder"))[
            "encoder_layers_0_self_attn_out_proj"
        ].weight

    plain = now().clone()
    model.set_loras([str(tmp_path / "a.safetensors")])
    torch.testing.assert_close(now(), plain + up @ down)


def test_ldms_names_of_every_layer_are_diffusers_own():
    """diffusers' own converter is asked what each layer of a UNet of Stable Diffusion 1.5's shape is called."""
    from diffusers import UNet2DConditionModel

    from inpaint.models.conversion import unet_weights
    from inpaint.paths import CONFIGS
    from tests.models.test_single_file import unet_shapes

    config = UNet2DConditionModel.load_config(CONFIGS / "sd15" / "unet")
    shapes = unet_shapes(4, 768, False)
    numbered = {name: torch.tensor(float(k)) for k, name in enumerate(shapes)}
    theirs = {int(value): name for name, value in unet_weights(dict(numbered), config).items()}
    assert len(theirs) == len(shapes)
    for name, value in numbered.items():
        layer = name.removeprefix("model.diffusion_model.").rpartition(".")[0].replace(".", "_")
        wanted = theirs[int(value)].rpartition(".")[0].replace(".", "_")
        assert lora_keys.from_ldm(layer, config["layers_per_block"]) == wanted


@pytest.mark.parametrize("name", ["loha", "lokr", "locon_cp", "peft_base_model"])
def test_files_of_other_trainers_are_merged(name, model):
    """Files as LyCORIS and PEFT write them change every layer they name, and no other."""
    path = DATA / "lora" / f"{name}.safetensors"
    output(model)
    before = {
        key: layer.weight.clone()
        for key, layer in lora_keys.modules(model.unets["base"], "unet").items()
        if getattr(layer, "weight", None) is not None
    }
    model.set_loras([str(path)])
    changes = lora.read(path).changes["unet"]
    after = lora_keys.modules(model.unets["base"], "unet")
    assert {key for key, old in before.items() if not torch.equal(after[key].weight, old)} == changes.keys() != set()
    assert output(model).isfinite().all()


def test_what_does_not_fit_is_one_sentence_and_changes_nothing(model, tmp_path):
    before = output(model)
    wide, deep = tmp_path / "wide.safetensors", tmp_path / "deep.safetensors"
    up, down = matrices(4, width=64)
    save_file({f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}, wide)
    cross = LAYER.replace("attn1.to_q", "attn2.to_k")
    save_file(
        {f"unet.{cross}.lora_A.weight": torch.ones(4, 1024), f"unet.{cross}.lora_B.weight": torch.ones(32, 4)}, deep
    )
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    save_file({"other": torch.zeros(2)}, tmp_path / "other.safetensors")
    for path, words in (
        (wide, "does not fit"),
        (deep, r"deep\.safetensors .*made for Stable Diffusion 2\.x, and this is a model whose text is 32 wide"),
        (tmp_path / "broken.safetensors", "not a safetensors file"),
        (tmp_path / "other.safetensors", "not a LoRA"),
        (tmp_path / "none.safetensors", "no LoRA file"),
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


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (f"unet.{LAYER}.hada_w1_a", "is incomplete"),
        (f"lora_unet_{LAYER.replace('.', '_')}.lora_down.weight", "changes its layer .* twice"),
        ("unet.conv_in.alpha", "an alpha for the layer conv_in, and no matrices"),
        ("lora_unet_mid_block_attentions_0_proj_in.alpha", "an alpha for the layer .*proj_in, and no matrices"),
        ("unet.conv_in.lora_A.weight", "is incomplete"),
        ("unet.conv_in.weight", "holds whole weights"),
        ("unet.conv_in.nonsense", "not a LoRA"),
        ("text_encoder_2.x.lora_A.weight", "is incomplete"),
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1.diff", "Stable Diffusion XL"),
        ("transformer.single_blocks.0.norm.diff", r"FLUX\.1, and this is a model"),
        ("lora_unet_joint_blocks_0_x_block_attn_proj.diff", "Stable Diffusion 3, and this is a model"),
        ("lora_unet_conv_in.oft_blocks", "OFT"),
        ("lora_unet_conv_in.a1.weight", "GLoRA"),
        ("emb_params", "textual-inversion embedding"),
        ("model.diffusion_model.out.2.weight", "a whole model"),
    ],
)
def test_half_understood_is_not_understood(key, words, model, tmp_path):
    up, down = matrices(4)
    weights = {f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}
    save_file({**weights, key: torch.zeros(4, 32)}, tmp_path / "odd.safetensors")
    with pytest.raises(ModelError, match=words) as error:
        model.set_loras([str(tmp_path / "odd.safetensors")])
    assert error.value.advice


@pytest.mark.parametrize("pattern", ["(a+)+$", "(.*)*b", "(a|a)" * 20, "[", ".*.*.*x", "a{99}", "x" * 201])
def test_a_pattern_that_could_take_for_ever_is_not_tried(pattern, tmp_path):
    up, down = matrices(4)
    notes = json.dumps({"unet.lora_alpha": 1, "unet.alpha_pattern": {pattern: 2}})
    save_file(
        {f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up},
        tmp_path / "a.safetensors",
        metadata={"lora_adapter_metadata": notes},
    )
    with pytest.raises(ModelError, match="damaged"):
        lora.read(tmp_path / "a.safetensors")


def test_paths_and_weights():
    assert lora.parse("a.safetensors:0.8") == ("a.safetensors", 0.8)
    assert lora.parse("a.safetensors") == ("a.safetensors", 1.0)
    assert lora.parse("c:\\loras\\a.safetensors") == ("c:\\loras\\a.safetensors", 1.0)
    assert lora.parse(("a", 2)) == ("a", 2.0)
    for weight in ("99", "nan", "-inf"):
        with pytest.raises(ModelError, match="out of range"):
            lora.parse(f"a.safetensors:{weight}")
