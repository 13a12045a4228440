"""Check loading of families, folders, single files and Hub ids; sharing, switching, precision; broken files."""

import json
import pickle
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

import inpaint
from inpaint import ModelError, ModelUnavailable, Request
from inpaint.models import hub, loading
from inpaint.models.loading import load
from tests.conftest import GOLDEN

LDM = GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors"
CONFIG = GOLDEN / "model_diffusers"
FIRST = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.fixture(scope="module")
def builtin():
    return load("builtin")


@pytest.fixture(scope="module")
def tiny():
    return load(str(LDM), config=str(CONFIG), dtype="float32")


@pytest.fixture(scope="module")
def nine(tmp_path_factory):
    """A 9-channel single file: zero weights on the five new channels, so that it agrees with the 4-channel one."""
    weights = load_file(LDM)
    weights[FIRST] = torch.cat([weights[FIRST], torch.zeros(32, 5, 3, 3, dtype=weights[FIRST].dtype)], 1)
    path = tmp_path_factory.mktemp("nine") / "nine.safetensors"
    save_file(weights, path)
    return path


def latents(model, n=1):
    return torch.randn(n, model.channels, 8, 8, generator=torch.Generator().manual_seed(0))


def test_builtin_has_both_methods_and_shares_the_rest(builtin):
    assert builtin.methods == ("base", "inpaint") and builtin.dtype is torch.float32
    text, x = builtin.embed(["", "pizza"]), latents(builtin, 2)
    vae = builtin.vae
    base = builtin.unet("base")(x, 501, text)
    nine = builtin.unet("inpaint")(torch.cat([x, torch.zeros(2, 5, 8, 8)], 1), 501, text)
    assert base.shape == nine.shape == x.shape and base.dtype is torch.float32
    assert builtin.vae is vae and set(builtin.unets) == {"base", "inpaint"}
    assert builtin.unet("base")(x, 501, text).equal(base)


def test_diffusers_pipeline_loads_the_builtin_model_too():
    index = json.loads((loading.BUILTIN / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionInpaintPipeline"
    shipped = [f for f in loading.BUILTIN.rglob("*") if f.is_file() and f.parent.name != "openvino"]
    size = sum(f.stat().st_size for f in shipped)
    assert size <= 60_000_000


def test_the_channels_of_a_single_file_decide_its_method(tiny, nine):
    other = load(str(nine), config=str(CONFIG), dtype="float32")
    assert tiny.methods == ("base",) and other.methods == ("inpaint",)
    x, text = latents(tiny), tiny.embed(["a cat"])
    torch.testing.assert_close(
        other.unet("inpaint")(torch.cat([x, torch.ones(1, 5, 8, 8)], 1), 301, text),
        tiny.unet("base")(x, 301, text),
        rtol=1e-4,
        atol=1e-4,
    )


def test_a_second_model_lends_its_inpainting_unet(nine):
    pair = load(str(LDM), config=str(CONFIG), inpaint=str(nine), dtype="float32")
    assert pair.methods == ("base", "inpaint")
    assert pair.unet("inpaint")(torch.zeros(1, 9, 8, 8), 1, pair.embed(["x"])).shape == (1, 4, 8, 8)


def test_what_cannot_be_combined_is_refused_at_once(nine, tmp_path):
    with pytest.raises(ModelError, match="does not fit"):
        load(str(LDM), config=str(CONFIG), inpaint="builtin")
    with pytest.raises(ModelError, match="has no inpainting UNet"):
        load(str(LDM), config=str(CONFIG), inpaint=str(LDM))


@pytest.mark.parametrize(
    ("change", "word"), [({"class_embed_type": "timestep"}, "UNet2D"), ({"_class_name": "A"}, "A")]
)
def test_a_denoiser_of_an_unknown_kind_is_one_sentence(change, word, tmp_path):
    shutil.copytree(CONFIG / "unet", tmp_path / "odd" / "unet")
    config = json.loads((CONFIG / "unet" / "config.json").read_text())
    (tmp_path / "odd" / "unet" / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ModelError, match=rf"not supported: its {word}.* is unknown\. Choose: Stable Diffusion"):
        load(str(tmp_path / "odd"))


def test_the_lender_has_its_own_prediction(nine, tmp_path):
    shutil.copy(nine, tmp_path / "v.safetensors")
    original = json.loads((GOLDEN / "model_ldm" / "tiny_inpaint9.json").read_text())
    original["model"]["params"]["parameterization"] = "v"
    (tmp_path / "v.json").write_text(json.dumps(original))
    pair = load(str(LDM), config=str(CONFIG), inpaint=str(tmp_path / "v.safetensors"), dtype="float32")
    assert pair.predicts == {"base": "epsilon", "inpaint": "v_prediction"}


def test_configurations_may_lie_beside_the_file(tmp_path):
    shutil.copy(LDM, tmp_path / "mine.safetensors")
    shutil.copytree(CONFIG, tmp_path / "mine")
    assert load(str(tmp_path / "mine.safetensors"), dtype="float32").methods == ("base",)


def test_a_model_painted_with_through_the_public_door(nine, photo):
    from PIL import Image

    painter = inpaint.load(str(nine), config=str(CONFIG))
    mask = Image.new("L", photo.size)
    mask.paste(255, (20, 20, 60, 50))
    result = painter(Request("a cat", photo, mask, seed=1, steps=2, size=64))
    assert result.report["method"] == "inpaint" and result.report["max_change_outside"] == 0


def test_the_posterior_is_its_mode_or_a_sample(tiny):
    pixels, noise = torch.rand(1, 3, 64, 64) * 2 - 1, latents(tiny)
    mode = tiny.encode(pixels)
    assert torch.equal(tiny.encode(pixels), mode) and torch.equal(tiny.encode(pixels, torch.zeros_like(noise)), mode)
    assert not torch.equal(tiny.encode(pixels, noise), mode)


def test_no_number_is_tried_again_in_float32_and_never_a_black_picture(tmp_path):
    model = load(str(LDM), config=str(CONFIG), dtype="bfloat16")
    z, decode = latents(model), model.vae.decode

    def fragile(latents):
        out = decode(latents)
        if latents.dtype != torch.float32:
            out.sample = out.sample * float("nan")
        return out

    model.vae.decode = fragile
    assert model.decode(z).isfinite().all() and "float32" in model.notes[-1]
    model.vae.decode = lambda latents: type("Out", (), {"sample": latents * float("nan")})
    with pytest.raises(ModelError, match="invalid numbers"):
        model.decode(z)


def test_no_number_in_encoding_is_tried_again_too():
    model = load(str(LDM), config=str(CONFIG), dtype="bfloat16")
    pixels, encode = torch.rand(1, 3, 32, 32), model.vae.encode

    def fragile(pixels):
        out = encode(pixels)
        out.latent_dist.mean = out.latent_dist.mean * float("nan")
        out.latent_dist.mode = lambda: out.latent_dist.mean
        return out

    model.vae.encode = fragile
    assert model.encode(pixels).isfinite().all() and len(model.notes) == 1
    full = load(str(LDM), config=str(CONFIG), dtype="float32").encode(pixels)  # the weights are not the rounded ones
    torch.testing.assert_close(model.encode(pixels), full, rtol=1e-4, atol=1e-4)


def test_another_vae(tiny, tmp_path):
    model = load(str(LDM), config=str(CONFIG), vae="builtin", dtype="float32")
    assert model.vae.config.scaling_factor != tiny.vae.config.scaling_factor
    assert model.unet("base")(latents(model), 1, model.embed(["x"])).shape == (1, 4, 8, 8)


def test_fingerprint_is_of_the_contents(tmp_path, tiny):
    copy = tmp_path / "another name.safetensors"
    shutil.copy(LDM, copy)
    assert load(str(copy), config=str(CONFIG)).fingerprint == tiny.fingerprint
    weights = load_file(LDM)
    weights[FIRST] = weights[FIRST] + 1
    save_file(weights, copy)
    assert load(str(copy), config=str(CONFIG)).fingerprint != tiny.fingerprint


BROKEN = {
    "empty.safetensors": b"",
    "short.safetensors": LDM.read_bytes()[:100_000],
    "header.safetensors": struct.pack("<Q", 2**60) + b"{}",
    "garbage.safetensors": struct.pack("<Q", 4) + b"\xff\xfe{}" + b"0" * 64,
    "list.safetensors": struct.pack("<Q", 2) + b"[]",
    "liar.safetensors": struct.pack("<Q", 79)
    + json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 99999999]}}).encode().ljust(79)
    + b"0" * 36,
    "pickle.safetensors": pickle.dumps({"a": 1}) * 50,
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_end_in_one_sentence(name, tmp_path):
    (tmp_path / name).write_bytes(BROKEN[name])
    with pytest.raises(ModelError) as error:
        load(str(tmp_path / name), config=str(CONFIG))
    assert name in str(error.value) and "\n" not in str(error.value)


def test_pickles_are_refused_and_never_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "boom"), "w"))

    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": Bomb()}, path)
    with pytest.raises(ModelError, match="pickle"):
        load(str(path))
    with pytest.raises(ModelError):
        load(str(path), allow_pickle=True)
    assert not (tmp_path / "boom").exists()


def test_a_trusted_ckpt_of_plain_weights_loads(tmp_path, tiny):
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": load_file(LDM)}, path)
    model = load(str(path), config=str(CONFIG), allow_pickle=True, dtype="float32")
    x, text = latents(model), model.embed(["a cat"])
    torch.testing.assert_close(model.unet("base")(x, 1, text), tiny.unet("base")(x, 1, text))


def test_missing_and_foreign_weights_are_errors(tmp_path):
    weights = load_file(LDM)
    name = next(key for key in weights if "output_blocks" in key)
    for change, words in (({}, "lacks"), ({name: torch.zeros(3)}, "misshapen")):
        path = tmp_path / "changed.safetensors"
        save_file({key: value for key, value in weights.items() if key != name} | change, path)
        with pytest.raises(ModelError, match=words):
            load(str(path), config=str(CONFIG)).unet("base")
    guided = "model.diffusion_model.time_embed.cond_proj.weight"  # of a latent consistency model
    save_file(weights | {guided: torch.zeros(32, 256)}, path)
    with pytest.raises(ModelError, match=f"has 1 unknown weight, such as {guided}"):
        load(str(path), config=str(CONFIG))
    save_file({"something.else": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match="not a Stable Diffusion checkpoint"):
        load(str(path))
    save_file({FIRST: torch.zeros(32, 7, 3, 3)}, path)
    with pytest.raises(ModelError, match="7 channels"):
        load(str(path), config=str(CONFIG))
    save_file({FIRST: torch.zeros(320, 4, 3, 3)}, path)
    with pytest.raises(ModelError, match=r"not Stable Diffusion 1\.x, 2\.x or XL"):
        load(str(path))


def test_open_clip_naming_of_stable_diffusion_2(tmp_path):
    """The text encoder of a 2.x file, fused as open_clip does it, is read back unchanged."""
    from inpaint.models.single_file import SingleFile

    text, fused = load(str(LDM), config=str(CONFIG), dtype="float32").text.encoder, {}
    own = {key.removeprefix("text_model."): value for key, value in text.state_dict().items()}
    names = {
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
        "self_attn.out_proj": "attn.out_proj",
    }
    root = "cond_stage_model.model."
    for k in range(text.config.num_hidden_layers):
        for kind in ("weight", "bias"):
            block, layer = f"{root}transformer.resblocks.{k}", f"encoder.layers.{k}"
            fused |= {f"{block}.{theirs}.{kind}": own[f"{layer}.{ours}.{kind}"] for ours, theirs in names.items()}
            fused[f"{block}.attn.in_proj_{kind}"] = torch.cat(
                [own[f"{layer}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            )
    for kind in ("weight", "bias"):
        fused[f"{root}ln_final.{kind}"] = own[f"final_layer_norm.{kind}"]
    fused[f"{root}token_embedding.weight"] = own["embeddings.token_embedding.weight"]
    fused[f"{root}positional_embedding"] = own["embeddings.position_embedding.weight"]
    rest = {key: value for key, value in load_file(LDM).items() if not key.startswith("cond_stage_model")}
    save_file({key: value.contiguous() for key, value in {**rest, **fused}.items()}, tmp_path / "v2.safetensors")
    found = SingleFile(tmp_path / "v2.safetensors", CONFIG).text_encoder(torch.float32).state_dict()
    for key, value in text.state_dict().items():
        assert torch.equal(found[key], value), key


def test_an_incomplete_folder_is_an_error(tmp_path):
    shutil.copytree(loading.BUILTIN, tmp_path / "model")
    (tmp_path / "model" / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelError, match="vae"):
        load(str(tmp_path / "model"))
    (tmp_path / "model" / "unet" / "config.json").write_text("{")
    with pytest.raises(ModelError, match="unet/config"):
        load(str(tmp_path / "model"))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ModelError, match="holds no model"):
        load(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "a/../b",
        "owner/name/more",
        "https://example.org/x",
        "nosuch",
        "-x/y",
        "owner/",
        "",
        "\0",
        "a" * 5000,
        "owner/na me",
        "~nobody-here/model",
        "owner/模型",
    ],
)
def test_names_that_are_no_model(name):
    assert not hub.is_id(name)
    with pytest.raises(ModelError):
        load(name)


def test_a_hub_model_that_is_not_here():
    with pytest.raises(ModelUnavailable, match="not on this machine"):
        load("sd15", offline=True)
    with pytest.raises(ModelUnavailable, match="not on this machine"):
        load("someone/some-model", offline=True)


def test_the_files_chosen_on_the_hub():
    files = [
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.non_ema.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "v1-5-pruned.safetensors",
    ]
    assert hub.chosen(files, "unet") == ["unet/diffusion_pytorch_model.fp16.safetensors"]
    assert hub.chosen(files, "vae") == ["vae/diffusion_pytorch_model.safetensors"]
    assert hub.chosen(files, "text_encoder") == []
    alone = ["config.json", "diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors", "big.safetensors"]
    assert hub.chosen(alone, "vae") == ["diffusion_pytorch_model.safetensors"] and hub.chosen(alone, "unet") == []


def test_a_mirror_serves_where_the_first_id_does_not(monkeypatch):
    asked = []

    def fetch(repo, parts, offline, progress):
        asked.append(repo)
        if repo.startswith("gone/"):
            raise ModelUnavailable("It is gone.")
        return loading.BUILTIN

    monkeypatch.setattr(hub, "fetch", fetch)
    assert loading.source(("gone/model", "other/model")).methods == ("base", "inpaint")
    assert asked == ["gone/model", "other/model"]
    with pytest.raises(ModelUnavailable):
        loading.source(("gone/model", "gone/too"))


def test_finding_a_model_reads_no_network(monkeypatch):
    """So the loaded model can stay until the next one is known to exist."""

    def read(*_, **__):
        raise AssertionError("a network was read")

    for kind in ("UNet2DConditionModel", "AutoencoderKL"):
        monkeypatch.setattr(f"diffusers.{kind}.from_pretrained", read)
    found = loading.find("builtin", inpaint="builtin")
    assert found.name == "builtin" and found.source.methods == ("base", "inpaint") and loading.find("toy") is None
    for name in ("biultin", "someone/model", "/nowhere/at/all", "sd15"):
        with pytest.raises(ModelError):
            loading.find(name, offline=True)
    for option, value in (("vae", "nothing"), ("inpaint", "nothing"), ("loras", ["nothing.safetensors"])):
        with pytest.raises(ModelError):
            loading.find("builtin", offline=True, **{option: value})


def test_a_cut_off_file_is_found_before_anything_is_loaded(tmp_path):
    folder = shutil.copytree(loading.BUILTIN, tmp_path / "model")
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ModelError, match="cut off"):
        loading.find(str(folder))


def test_loading_leaves_the_processs_allocator_alone(monkeypatch):
    from inpaint.memory import malloc

    monkeypatch.setattr(malloc, "keep", lambda: pytest.fail("a library must not"))
    assert load(str(LDM), config=str(CONFIG)).methods == ("base",)


def test_a_lender_on_other_noise_levels_is_refused(nine, tmp_path):
    shutil.copy(nine, tmp_path / "other.safetensors")
    original = json.loads((GOLDEN / "model_ldm" / "tiny_inpaint9.json").read_text())
    original["model"]["params"]["linear_end"] = 0.02
    (tmp_path / "other.json").write_text(json.dumps(original))
    with pytest.raises(ModelError, match="other noise levels"):
        load(str(LDM), config=str(CONFIG), inpaint=str(tmp_path / "other.safetensors"))
