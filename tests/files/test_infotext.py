"""Check that settings written as text, by this program or by others, are read."""

import re
from io import BytesIO

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import inpaint
from inpaint import InvalidRequest, Request
from inpaint.files import exif, infotext
from inpaint.request import options
from tests.fakes import MODEL
from tests.files.records import SETTINGS, disc, photo


def a1111(text: str, format="PNG") -> bytes:
    file, picture = BytesIO(), Image.new("RGB", (64, 48), "teal")
    if format == "PNG":
        info = PngInfo()
        info.add_text("parameters", text)
        picture.save(file, format, pnginfo=info)
    else:
        picture.save(file, format, exif=exif.with_comment(None, text))
    return file.getvalue()


THEIRS = """a photo of a cat, (masterpiece:1.2), <lora:x:0.8>
second line
Negative prompt: ugly: very, blurry
still negative
Steps: 28, Sampler: Euler a, Schedule type: Automatic, CFG scale: 6.5, Seed: 3716519, Size: 512x512, Model hash: \
6ce0161689, Model: v1-5-pruned, Denoising strength: 0.62, Clip skip: 2, Mask blur: 4, ENSD: 31337, \
Lora hashes: "x: 8f3c, y: 1", Version: v1.10.1"""


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_another_tools_picture_gives_its_settings_and_itself(format):
    got = Request.from_image(a1111(THEIRS, format))
    assert got.prompt == "a photo of a cat, (masterpiece:1.2), <lora:x:0.8>\nsecond line"
    assert got.negative_prompt == "ugly: very, blurry\nstill negative"
    assert (got.steps, got.sampler, got.guidance_scale, got.seed) == (28, "euler a", 6.5, 3716519)
    assert (got.strength, got.clip_skip, got.feather) == (0.62, 1, 4)
    assert got.picture.size == (64, 48) and got.mask is None and got.picture.notes == ()


def test_settings_that_this_program_lacks_are_noted():
    got = Request.from_image(a1111("x\nSteps: 500, Sampler: DPM++ SDE Karras, CFG scale: 6, Seed: 1e400, Size: 8x8"))
    assert (got.steps, got.sampler, got.guidance_scale, got.seed) == (20, "ddim", 6, None)
    assert len(got.picture.notes) == 3 and all("default" in note for note in got.picture.notes)
    assert Request.from_image(a1111("x\nSteps: 5, Sampler: DPM++ 2M Karras, Seed: 1")).sampler == "dpm++ 2m"
    assert len(Request.from_image(a1111("y" * 5000 + "\nSteps: 5, Seed: 1")).prompt) == 4000


@pytest.mark.parametrize("order", ["be", "le"])
def test_the_comment_is_read_in_either_byte_order(order):
    block = Image.Exif()
    block.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + "红围巾\nSteps: 5, Seed: 4".encode(f"utf-16-{order}")
    assert exif.comment(block.tobytes()) == "红围巾\nSteps: 5, Seed: 4"


def test_our_text_is_written_as_the_others_write_it():
    asked = Request(picture=photo(), mask=disc(), **{**SETTINGS, "prompt": "a scarf"})
    text = infotext.write(asked.settings(), MODEL, (96, 72))
    lines = text.split("\n")
    assert lines[:2] == ["a scarf", "Negative prompt: 模糊, blurry"] and len(lines) == 3
    assert re.match(
        r"Steps: 33, Sampler: DPM\+\+ 2M, Schedule type: Karras, CFG scale: 6.3, Seed: 4294967295, "
        r"Size: 96x72, Model hash: ffffffffff, Model: fake, ",
        lines[2],
    )
    for part in (
        "Denoising strength: 0.71",
        "Mask blur: 5",
        "Mask mode: Inpaint not masked",
        "Clip skip: 2",
        "Masked content: latent noise",
        "Inpaint area: Only masked",
        "Masked area padding: 32",
    ):
        assert part in lines[2].split(", ")
    got, notes = infotext.read(text, options())
    assert notes == []
    assert (
        got.items()
        >= {
            "prompt": "a scarf",
            "negative_prompt": "模糊, blurry",
            "steps": 33,
            "eta": 0.37,
            "sampler": "dpm++ 2m",
            "seed": 2**32 - 1,
            "clip_skip": 1,
            "strength": 0.71,
        }.items()
    )


def test_the_programs_version_is_the_projects():
    assert f"inpaint {inpaint.__version__}" == infotext.PROGRAM


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just words",
        "a\nSteps",
        "\0" * 50,
        "Steps",
        "a: b, c: d",
        ":" * 300_000,
        'a:"' * 60_000,
        "a" * 300_000,
        "a " * 100_000 + ":",
        '"\\' * 90_000,
    ],
)
def test_text_that_holds_no_settings_is_refused_quickly(text):
    with pytest.raises(InvalidRequest):
        infotext.read(text, options())


@pytest.mark.parametrize(
    "value",
    [
        '"',
        '"{"',
        '"[]"',
        '"{\\"seed\\": NaN}"',
        '"' + "[" * 50_000 + '"',
        '"{\\"picture\\": 1, \\"__class__\\": 2, \\"steps\\": [1]}"',
    ],
)
def test_forged_settings_in_our_text_are_left_out(value):
    settings, _ = infotext.read(f"x\nSteps: 5, Inpaint: {value}", options())
    assert set(settings) <= set(options()) and "steps" not in settings


def test_another_tools_random_seed_is_left_open():
    found, _ = infotext.read("a cat\nSteps: 20, CFG scale: 0, Seed: -1", options())
    assert found["seed"] is None and found["guidance_scale"] == 0.0
    assert infotext.read("a cat\nSteps: 20, Seed: 11026764036349098123", options())[0]["seed"] == 11026764036349098123
