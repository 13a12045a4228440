"""Check that every family answers requests: both methods, from the PNG, on the command line, on a device."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import inpaint
from inpaint import InvalidRequest, ModelError, Request, Step
from tests.devices.conftest import assert_same, request_of
from tests.devices.emulation import Emulated

PAIRS = {"sdxl": ("sdxl", "sdxl-inpaint"), "sd3": ("sd3", None), "dev": ("dev", "fill"), "schnell": ("schnell", None)}


@pytest.fixture(scope="module")
def painters(made):
    """Name of a family -> its painter on the CPU, with both methods where it has them."""
    return {name: load(made, name, device="cpu") for name in PAIRS}


def load(made, name, **options):
    base, other = PAIRS[name]
    lent = {"inpaint": str(made(other)[1])} if other else {}
    return inpaint.load(str(made(base)[1]), dtype="float32", **lent, **options)


def methods(name):
    return ("base", "inpaint") if PAIRS[name][1] else ("base",)


EACH = [(name, method) for name in PAIRS for method in methods(name)]


@pytest.mark.parametrize(("name", "method"), EACH)
def test_a_request_is_answered_and_restored_from_its_png(painters, tmp_path, name, method):
    painter = painters[name]
    assert painter.model.methods == methods(name)
    request = request_of(method=method, steps=3, strength=0.9, negative_prompt="rain", count=2, sampler="unipc")
    *steps, result = painter.stream(request)
    assert all(isinstance(step, Step) and step.preview(64).size == (64, 64) for step in steps)
    assert result.report["max_change_outside"] == 0 and result.report["method"] == method
    alone = painter(replace(request, count=1, seed=2))
    assert np.abs(np.asarray(alone.images[0], int) - np.asarray(result.images[1], int)).max() <= 1
    path = result.save(tmp_path / "a.png")
    again = painter(Request.from_image(path))
    assert np.array_equal(np.asarray(again.images[0]), np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("name", PAIRS)
def test_a_walk_goes_on_from_a_kept_step(painters, name):
    painter = painters[name]
    request = request_of(steps=4, method="base")
    *steps, whole = painter.stream(request)
    *_, same = painter.resume(steps[1], request)
    assert np.array_equal(np.asarray(whole.images[0]), np.asarray(same.images[0]))
    for change, finish in (({"steps": 6}, False), ({"seed": 9}, False), ({}, True)):
        *_, other = painter.resume(steps[1], replace(request, **change), finish)
        assert other.report["max_change_outside"] == 0


@pytest.mark.parametrize("name", PAIRS)
def test_the_hole_is_open_from_the_first_step_on(painters, name):
    """Even where that step lies at T itself: what is predicted there is not what the hole was filled with."""
    first = next(painters[name].stream(request_of(method="base")))
    hole = (first.scene.level > 0).expand_as(first.pred_x0)
    assert (first.pred_x0 - first.scene.x0)[hole].abs().mean() > 0.05
    torch.testing.assert_close(first.pred_x0[~hole], first.scene.x0[~hole], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", PAIRS)
def test_soft_masks_and_no_picture(painters, name):
    grey = Image.new("L", (64, 64))
    grey.paste(120, (16, 16, 48, 48))
    grey.paste(255, (24, 24, 40, 40))
    for method in methods(name):
        assert painters[name](request_of(mask=grey, method=method)).report["max_change_outside"] == 0
    alone = painters[name](request_of(picture=None, mask=None, width=72, height=64, method="base"))
    assert alone.images[0].size == ((64, 64) if painters[name].model.grid == 16 else (72, 64))


def test_working_sides_are_multiples_of_what_a_transformer_sees_as_one(painters):
    wide = Image.effect_noise((200, 104), 60).convert("RGB")
    mask = Image.new("L", wide.size)
    mask.paste(255, (80, 40, 120, 70))
    for name in PAIRS:
        result = painters[name](request_of(picture=wide, mask=mask, whole=True, size=120, steps=1))
        grid = painters[name].model.grid
        assert all(n % grid == 0 for crop in result.report["crops"] for n in crop["size"])


def test_what_a_flow_lacks_is_reported(painters):
    result = painters["sd3"](request_of(sampler="dpm++ 2m", eta=0.5, steps=1))
    assert any("dpm++ 2m" in note for note in result.report["notes"])
    with pytest.raises(InvalidRequest, match="article"):
        painters["sd3"](request_of(article=True, width=64, height=64))


def test_the_scale_of_guidance_that_a_model_embeds_changes_the_picture(painters):
    low, high = (painters["dev"](request_of(guidance_scale=w, method="base")).images[0] for w in (1.5, 9.0))
    assert low.tobytes() != high.tobytes()


def test_what_does_not_fit_is_refused(made, both_unets, tmp_path):
    with pytest.raises(ModelError, match="does not fit"):
        inpaint.load(str(made("sdxl")[1]), inpaint=str(both_unets), dtype="float32")
    with pytest.raises(ModelError, match=r"made for a UNet .* and this is Stable Diffusion 3"):
        lora = tmp_path / "a.safetensors"
        from safetensors.torch import save_file
        from torch import zeros

        name = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_{}.weight"
        save_file({name.format("A"): zeros(4, 32), name.format("B"): zeros(32, 4)}, lora)
        inpaint.load(str(made("sd3")[1]), loras=[str(lora)], dtype="float32")


@pytest.mark.parametrize(("name", "method"), EACH)
def test_an_emulated_device_gives_the_cpus_pictures(painters, made, name, method):
    request = request_of(method=method, count=2)
    with Emulated("cuda"):
        assert_same(load(made, name, device="cuda", memory="resident")(request), painters[name](request))


@pytest.mark.parametrize(("name", "policy"), [("sdxl", "offload"), ("sd3", "sequential"), ("dev", "low")])
def test_networks_take_turns_on_the_device(painters, made, name, policy):
    request = request_of(method="base")
    with Emulated("cuda"):
        assert_same(load(made, name, device="cuda", memory=policy)(request), painters[name](request))


@pytest.mark.parametrize("name", ["sdxl", "dev"])
def test_the_command_line_runs_both_methods(made, name, tmp_path, photo):
    from inpaint.cli.main import main

    photo.save(tmp_path / "p.png")
    mask = Image.new("L", photo.size)
    mask.paste(255, (30, 20, 60, 50))
    mask.save(tmp_path / "m.png")
    base, other = (str(made(kind)[1]) for kind in PAIRS[name])
    for method in ("base", "inpaint"):
        out = tmp_path / f"{method}.png"
        command = [
            str(tmp_path / "p.png"),
            str(tmp_path / "m.png"),
            "a cat",
            "--model",
            base,
            "--inpaint-model",
            other,
        ]
        options = ["--method", method, "--steps", "1", "--size", "64", "--dtype", "float32", "-o", str(out)]
        assert main([*command, *options]) in (None, 0)
        assert Request.from_image(out).method == method


def test_a_flow_for_few_steps_is_known_by_its_name(painters):
    made = painters["schnell"](Request("a cat", Image.new("RGB", (64, 64), "gray"), size=64, seed=1))
    assert (made.request.preset, made.request.steps, made.request.sampler) == ("turbo", 4, "euler")
    assert len([note for note in made.report["notes"] if "few steps" in note]) == 1
    assert not [note for note in made.report["notes"] if "cannot use" in note or "spacing" in note]
    chosen = painters["dev"](Request("a cat", made.request.picture, preset="hyper", size=64, seed=1, method="base"))
    assert (chosen.request.steps, chosen.request.guidance_scale) == (8, 3.5), "it takes the guidance as an input"
    told = painters["sd3"](Request("", made.request.picture, spacing="leading", size=64, seed=1, steps=2))
    assert [note for note in told.report["notes"] if "spacing" in note]
