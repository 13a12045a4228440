"""Check FLUX.1 and Stable Diffusion 3 in one file: the transformer alone, all parts, 8-bit floats, wrong files."""

import inspect
import shutil

import pytest
import torch
from diffusers.loaders import single_file_utils
from safetensors.torch import load_file, save_file

import inpaint
from inpaint import ModelError, Request
from tests.devices.conftest import assert_same, request_of
from tests.devices.emulation import Emulated
from tests.models.families import originals, tiny

KINDS = ["sd3", "dev", "schnell", "fill"]


@pytest.fixture
def alone(made, tmp_path):
    """Name of a kind -> (its folder without a transformer's weights, its transformer in one file)."""

    def make(kind, **options):
        pipeline, folder = made(kind)
        parts = tmp_path / f"parts-{kind}"
        if not parts.exists():
            shutil.copytree(folder, parts)
            for file in (parts / "transformer").glob("*.safetensors"):
                file.unlink()
        return parts, originals.saved(pipeline, tmp_path / f"{kind}-file.safetensors", **options)

    return make


def plain(kind):
    """diffusers' own converter of a family, freed of FLUX.1's size, which it takes for granted."""
    name = "sd3" if kind == "sd3" else "flux"
    source = inspect.getsource(getattr(single_file_utils, f"convert_{name}_transformer_checkpoint_to_diffusers"))
    scope = vars(single_file_utils).copy()
    exec(source.replace("inner_dim = 3072", "inner_dim = 32"), scope)
    return scope[f"convert_{name}_transformer_checkpoint_to_diffusers"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_are_those_of_diffusers_converter(made, alone, kind):
    parts, path = alone(kind)
    theirs = plain(kind)(load_file(path))
    own = made(kind)[0].transformer.state_dict()
    assert theirs.keys() == own.keys() and all(torch.equal(theirs[key], own[key]) for key in own), (
        "the test's own file"
    )
    model = inpaint.load(str(path), config=str(parts), dtype="float32", device="cpu").model
    (method,) = model.methods
    model.unet(method)
    found = model.unets[method].state_dict()
    assert found.keys() == own.keys() and all(torch.equal(found[key], own[key]) for key in own)


@pytest.mark.parametrize("whole", [False, True], ids=["alone", "whole"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_walks_as_its_folder_does(both, alone, kind, whole):
    parts, path = alone(kind, whole=whole)
    if whole:
        for file in parts.rglob("*.safetensors"):
            file.unlink()
    _, expected = both(kind)
    model = inpaint.load(str(path), config=str(parts), dtype="float32", device="cpu").model
    assert (model.methods, model.guidance, model.schedule) == (expected.methods, expected.guidance, expected.schedule)
    method, w = model.methods[0], 3.0
    ours, theirs = (tiny.walked(each, method, w, 0.6, 1, 3) for each in (model, expected))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)
    latents = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.decode(latents), expected.decode(latents), atol=1e-6, rtol=1e-6)


def test_the_sizes_are_the_files_own(made, alone):
    """A folder of dev serves a file of schnell or Fill: what differs is told by the file."""
    parts, _ = alone("dev")
    for kind, method, guidance in (("schnell", "base", 1.0), ("fill", "inpaint", 30.0)):
        _, path = alone(kind)
        model = inpaint.load(str(path), config=str(parts), dtype="float32").model
        assert model.methods == (method,) and model.guidance == {method: guidance}


def test_8_bit_floats_are_widened(made, alone, tmp_path):
    parts, path = alone("dev", dtype=torch.float8_e4m3fn)
    model = inpaint.load(str(path), config=str(parts), dtype="float32", device="cpu").model
    model.unet("base")
    for key, value in made("dev")[0].transformer.state_dict().items():
        found = model.unets["base"].get_parameter(key)
        assert found.dtype is torch.float32
        torch.testing.assert_close(found, value.to(torch.float8_e4m3fn).float(), atol=0, rtol=0)
    scaled, name = load_file(path), "double_blocks.0.img_mlp.0"
    scaled[f"{name}.scale_weight"], scaled["scaled_fp8"] = torch.tensor(2.5), torch.zeros(0)
    save_file(scaled, tmp_path / "scaled.safetensors")
    other = inpaint.load(str(tmp_path / "scaled.safetensors"), config=str(parts), dtype="float32").model
    other.unet("base")
    ours = "transformer_blocks.0.ff.net.0.proj.weight"
    torch.testing.assert_close(other.unets["base"].get_parameter(ours), 2.5 * model.unets["base"].get_parameter(ours))


def test_a_request_is_answered_on_an_emulated_device_and_from_its_png(alone, tmp_path):
    parts, path = alone("dev")
    options = {"config": str(parts), "dtype": "float32"}
    request = request_of(method="base", steps=2)
    painter = inpaint.load(str(path), device="cpu", **options)
    result = painter(request)
    assert result.report["max_change_outside"] == 0
    again = painter(Request.from_image(result.save(tmp_path / "a.png")))
    assert again.image.tobytes() == result.image.tobytes()
    with Emulated("cuda"):
        assert_same(inpaint.load(str(path), device="cuda", memory="offload", **options)(request), result)


def test_what_is_missing_or_wrong_is_one_sentence(made, alone, tmp_path):
    parts, path = alone("dev")
    sd3, _ = alone("sd3")
    broken = load_file(path)
    broken["double_blocks.0.img_mlp.0.weight"] = torch.zeros(3, 3)
    save_file(broken, tmp_path / "broken.safetensors")
    (tmp_path / "flux.gguf").write_bytes(b"GGUF")
    refiner = {"model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": torch.zeros(8, 1280)}
    save_file(refiner, tmp_path / "refiner.safetensors")
    for file, config, words in (
        (path, None, r"is FLUX\.1 without its configurations and tokenizers"),
        (path, sd3, r"is FLUX\.1, and the configurations in parts-sd3 are not"),
        (tmp_path / "broken.safetensors", parts, "has 1 misshapen weight"),
        (tmp_path / "flux.gguf", parts, "is a GGUF file"),
        (tmp_path / "refiner.safetensors", None, "is the refiner of Stable Diffusion XL"),
    ):
        with pytest.raises(ModelError, match=words) as error:
            inpaint.load(str(file), config=config and str(config), dtype="float32")
        assert error.value.advice
    for encoder in (parts / "text_encoder_2").glob("*.safetensors"):
        encoder.unlink()
    with pytest.raises(ModelError, match=r"has no text_encoder_2/\*\.safetensors"):
        inpaint.load(str(path), config=str(parts))
