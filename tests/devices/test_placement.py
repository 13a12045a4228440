"""Check that everything a request can ask for runs on an emulated device and gives the CPU's pictures."""

from dataclasses import replace

import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file

import inpaint
from inpaint.request import SAMPLERS, options
from tests.devices.conftest import assert_same, request_of
from tests.devices.emulation import Emulated

METHODS = ("base", "inpaint")
POLICIES = ("resident", "offload", "sequential", "low")


def soft_mask():
    mask = Image.new("L", (64, 64))
    mask.paste(90, (8, 8, 56, 56))
    mask.paste(255, (20, 20, 44, 44))
    return mask


def two_islands():
    mask = Image.new("L", (192, 64))
    mask.paste(255, (8, 8, 40, 40))
    mask.paste(255, (152, 20, 180, 50))
    return {"picture": Image.effect_mandelbrot((192, 64), (-2, -1, 1, 1), 50).convert("RGB"), "mask": mask}


def see_through():
    picture = Image.effect_mandelbrot((64, 64), (-2, -1, 1, 1), 50).convert("RGBA")
    ImageDraw.Draw(picture).rectangle((20, 20, 40, 40), fill=(0, 0, 0, 0))
    return {"picture": picture, "mask": None}


ROWS = [  # every option at least once away from its default, those together that do not hide each other
    {"negative_prompt": "rain", "quality": "sharp", "clip_skip": 1, "prompt": "(cat:1.3) and dog"},
    {"text_layer": "hidden", "background": False, "eta": 1.0},
    {"text_layer": "pooled", "two_sided": False, "fresh_noise": True},
    {"strength": 0.6, "exact_steps": True, "fill": "original"},
    {"strength": 0.7, "fill": "noise", "guidance_scale": 1.0},
    {"speed": "fast", "steps": 6, "guidance_end": 0.5},
    {"guidance_rescale": 0.7, "guidance_scale": 9.0, "fill": "smooth", "finish": "poisson"},
    {"whole": True, "mask": soft_mask(), "soft": True, "fill": "neutral", "finish": "multiband", "sampler": "unipc"},
    {"mask": soft_mask(), "soft": False, "context": 8, "context_factor": 1.1, "finish": "none", "margin": 0},
    {"islands": True, **two_islands()},
    {"expand": "200,200,0,0", "detail": "on", "size": 64},
    {"expand": "8,8,0,0", "fill": "border", "blend": 8, "colour_match": 0.5},
    {"invert": True, "fill_holes": True, "grow": 2, "feather": 4, "colour_hold": 0.5},
    {"mask_from_alpha": True, "keep_gps": False, "mark_ai": False, **see_through()},
    {"picture": None, "mask": None, "width": 64, "height": 128},
    {"mask": None, "strength": 0.5},
    {"steps": 4, "sampler": "dpm++ 2m", "fill": "blur", "finish": "feather"},
    {"task": "remove", "finish": "auto"},
    {"preset": "tcd"},
    {"preset": "turbo", "spacing": "leading", "steps": 3},
]
ELSEWHERE = {"prompt", "method", "sampler", "seed", "count", "size", "article"}  # in the other tests of this file


def test_no_option_is_left_out():
    assert {name for row in ROWS for name in row} | ELSEWHERE >= set(options())


@pytest.fixture(scope="module")
def resident(load):
    """The model on an emulated device, loaded once; the device of the test takes its memory over."""
    with Emulated("cuda"):
        return load(device="cuda", memory="resident")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: " ".join(name for name in row if name not in ("mask", "picture"))
)
def test_every_option_gives_the_cpus_pictures(painter, resident, cuda, row, method):
    request = request_of(count=2, method=method, **row)
    assert_same(resident(request), painter(request))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_gives_the_cpus_pictures_and_each_variation_is_its_seed_alone(
    painter, resident, cuda, name, method, count
):
    request = request_of(sampler=name, method=method, count=count, steps=3)
    assert_same(resident(request), painter(request))  # which walks each seed alone


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("policy", POLICIES)
def test_every_memory_policy_gives_the_cpus_pictures(painter, load, cuda, policy, method):
    placed = load(device="cuda", memory=policy)
    for settings in ({"count": 2}, {"count": 1, "mask": soft_mask(), "speed": "fast", "steps": 5}):
        request = request_of(method=method, **settings)
        assert_same(placed(request), painter(request))


@pytest.mark.parametrize("name", SAMPLERS)
def test_another_kind_of_device_which_has_no_float64(painter, load, name):
    request = request_of(sampler=name, count=2)
    with Emulated("mps"):
        assert_same(load(device="mps")(request), painter(request))


@pytest.mark.parametrize("settings", [{}, {"picture": None, "mask": None}, {"strength": 0.6, "eta": 1.0}])
def test_the_articles_program(painter, resident, cuda, settings):
    request = request_of(article=True, count=2, steps=4, width=64, height=64, **settings)
    assert_same(resident(request), painter(request))


@pytest.mark.parametrize("method", METHODS)
def test_going_on_from_a_step_finishing_it_and_showing_it(painter, resident, cuda, method):
    request = request_of(method=method, steps=4, eta=1.0)
    steps, other = ([*run.stream(request)][:-1] for run in (resident, painter))
    for ours, theirs in zip(steps, other, strict=True):
        assert ours.preview(64).size == theirs.preview(64).size == (64, 64)
    for asked, finish in ((request, False), (request, True), (replace(request, seed=9), False)):
        *_, ours = resident.resume(steps[1], asked, finish)
        *_, theirs = painter.resume(other[1], asked, finish)
        assert_same(ours, theirs)


def test_a_lora_and_another_vae(both_unets, cuda, tmp_path):
    layer = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    generator = torch.Generator().manual_seed(0)
    down, up = (torch.randn(*shape, generator=generator) for shape in ((4, 32), (32, 4)))
    save_file({f"unet.{layer}.lora_A.weight": down, f"unet.{layer}.lora_B.weight": up}, tmp_path / "a.safetensors")
    options = {
        "dtype": "float32",
        "vae": str(both_unets),
        "loras": [str(tmp_path / "a.safetensors")],
        "backend": "torch",
    }
    theirs, ours = (inpaint.load(str(both_unets), device=device, **options) for device in ("cpu", "cuda"))
    request = request_of(method="base", count=2)
    assert_same(ours(request), theirs(request))
    ours.model.set_loras([])
    theirs.model.set_loras([])
    assert_same(ours(request), theirs(request))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_stays_near_the_cpus_pictures(painter, load, cuda, dtype):
    request = request_of(count=2)
    ours, theirs = load(device="cuda", dtype=dtype)(request), painter(request)
    for one, other in zip(ours.images, theirs.images, strict=True):
        assert abs(sum(one.convert("L").tobytes()) - sum(other.convert("L").tobytes())) / 64**2 < 4
