"""Check the presets for few steps: recognised by names, applied under what is given, the same in the docs."""

import json
import re
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import inpaint
from inpaint import Request
from inpaint.diffusion.presets import NONE, PRESETS, SETTINGS, told
from inpaint.request import SAMPLERS, options

ROOT = Path(__file__).parent.parent
LORA = ROOT / "tests" / "data" / "lora"


@pytest.mark.parametrize(
    ("name", "preset", "steps", "guided"),
    [
        ("latent-consistency/lcm-lora-sdv1-5", "lcm", None, False),
        ("SimianLuo/LCM_Dreamshaper_v7", "lcm", None, False),
        ("dreamshaper_8LCM.safetensors", "lcm", None, False),
        ("h1t/TCD-SDXL-LoRA", "tcd", None, False),
        ("stabilityai/sdxl-turbo", "turbo", None, False),
        ("C:\\models\\dreamshaperXL_v21TurboDPMSDE.safetensors", "turbo", None, False),
        ("stabilityai/stable-diffusion-3.5-large-turbo", "turbo", None, False),
        ("black-forest-labs/FLUX.1-schnell", "turbo", None, False),
        ("sdxl_lightning_8step.safetensors", "lightning", 8, False),
        ("/models/ByteDance/SDXL-Lightning", "lightning", None, False),
        ("RealVisXL_V5.0_Lightning", "lightning", None, False),
        ("Hyper-SDXL-4steps-lora.safetensors", "hyper", 4, False),
        ("Hyper-SD15-12steps-CFG-lora.safetensors", "hyper", 12, True),
        ("Hyper-FLUX.1-dev-8steps-lora", "hyper", 8, False),
        ("epicrealismXL_v8Hyper", "hyper", None, False),
    ],
)
def test_names_tell_the_preset(name, preset, steps, guided):
    found = told([name])
    assert found and (found.preset, found.steps, found.guided) == (preset, steps, guided)
    assert "/" not in found.name and "\\" not in found.name
    assert found.settings()["steps"] == (steps or PRESETS[preset]["steps"])
    assert ("guidance_scale" in found.settings()) != guided


@pytest.mark.parametrize(
    "name",
    ["builtin", "sd15", "stable-diffusion-xl-base-1.0", "lcm/tiny", "HyperRealism_v3", "hyperdetail", "falconcd", ""],
)
def test_other_names_tell_nothing(name):
    assert told([name]) is None


def test_a_lora_about_lightning_is_no_preset():
    assert told(["lightning_bolts"], lora=True) is None and told(["turbo_cars_v2"], lora=True) is None
    assert told(["lightning_3000steps"], lora=True) is None
    assert told(["sdxl_lightning_4step_lora"], lora=True).steps == 4
    assert told(["pytorch", "lcm-lora-sdv1-5"], lora=True).preset == "lcm"


def test_presets_set_what_the_request_knows():
    for preset, settings in PRESETS.items():
        request = Request(preset=preset)
        assert {name: getattr(request, name) for name in settings} == settings
        assert request.sampler in SAMPLERS and set(settings) <= set(SETTINGS) <= set(options())
    assert Request(preset="lightning", steps=20, sampler="ddim").settings()["steps"] == 20, "a given default is kept"
    both = Request(preset="lcm", task="remove")
    assert both.sampler == "lcm" and both.fill == "patch"


def test_the_documentation_has_the_same_table():
    rows = re.findall(r"^\| `(\w+)` \| `([\w ]+)` \| ([\w ]+) \| (\d+) \| (\d+) \|", DOCS := docs(), re.MULTILINE)
    written = {name: (sampler, spacing, int(steps), float(w)) for name, sampler, spacing, steps, w in rows}
    assert written == {
        name: (found["sampler"], found.get("spacing", "its own"), found["steps"], found["guidance_scale"])
        for name, found in PRESETS.items()
    }, DOCS


def docs() -> str:
    return (ROOT / "docs" / "models.md").read_text().split("## Few steps")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def named(both_unets, tmp_path_factory):
    """A tiny model whose folder is called so -> a painter."""

    def load(name: str, **options):
        folder = tmp_path_factory.mktemp("named") / name
        shutil.copytree(both_unets, folder)
        return inpaint.load(str(folder), dtype="float32", **options)

    return load


def test_a_models_name_chooses_where_nothing_was_chosen(named, photo):
    painter = named("tiny-lightning-2step")
    plain = {"picture": photo, "size": 64, "seed": 1, "method": "base"}
    made = painter(Request("a cat", **plain))
    asked = made.request
    assert (asked.preset, asked.sampler, asked.spacing) == ("lightning", "euler", "trailing")
    assert (asked.steps, asked.guidance_scale, made.report["steps"]) == (2, 1.0, 2)
    assert [note for note in made.report["notes"] if "lightning" in note and "few steps" in note]

    explicit = painter(Request("a cat", preset="lightning", steps=2, **plain))
    assert explicit.image.tobytes() == made.image.tobytes()
    again = painter(Request.from_image(made.to_bytes()))
    assert again.image.tobytes() == made.image.tobytes() and again.request.settings() == asked.settings()

    kept = painter(Request("a cat", steps=3, guidance_scale=2.0, **plain)).request
    assert (kept.sampler, kept.steps, kept.guidance_scale) == ("euler", 3, 2.0)
    off = painter(Request("a cat", preset=NONE, **plain))
    assert (off.request.sampler, off.request.steps) == ("ddim", 20)
    assert not [note for note in off.report["notes"] if "few steps" in note]


def test_the_spacing_decides_where_the_walk_begins(named, photo):
    painter, first = named("tiny"), {}
    for spacing in ("auto", "leading", "trailing"):
        request = Request("a cat", photo, size=64, seed=1, steps=4, method="base", spacing=spacing)
        first[spacing] = next(painter.stream(request)).t
    assert first == {"auto": 751, "leading": 751, "trailing": 999}


def test_a_lora_chooses_while_it_is_loaded(named, photo, tmp_path):
    lora = tmp_path / "Hyper-SD15-3steps-lora.safetensors"
    save_file(load_file(next(iter(sorted(LORA.glob("*.safetensors"))))), lora)
    painter = named("tiny")
    assert painter.model.few_steps is None
    painter.model.set_loras([str(lora)])
    asked = painter(Request("a cat", photo, size=64, seed=1)).request
    assert (asked.preset, asked.steps, asked.eta, asked.spacing) == ("hyper", 3, 0.0, "trailing")
    painter.model.set_loras([f"{lora}:0"])
    assert painter.model.few_steps is None, "one of weight 0 changes nothing"


def test_a_scheduler_tells_too(named, tmp_path, both_unets):
    folder = tmp_path / "tiny"
    shutil.copytree(both_unets, folder)
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "_class_name": "LCMScheduler"}))
    few = inpaint.load(str(folder)).model.few_steps
    assert few is not None and (few.preset, few.name) == ("lcm", "tiny")


def test_a_file_tells_by_its_title(tmp_path):
    from inpaint.models.model_spec import titles

    assert told(titles({"modelspec.title": "My SDXL Turbo", "ss_output_name": "v3"})).preset == "turbo"
    assert titles({}) == ()
