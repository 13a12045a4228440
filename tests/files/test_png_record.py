"""A saved picture repeats itself bit for bit; a forged one is refused in a sentence."""

import json
import re
import struct
import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

import inpaint
from inpaint import InpaintError, InvalidRequest, Request
from inpaint.files import exif, infotext, original, png_record
from inpaint.request import options
from tests.fakes import MODEL, result_of
from tests.test_result import ICC, exif_block

ROOT = Path(__file__).parents[2]


def photo(size=(96, 72), mode="RGB", seed=3) -> bytes:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (9, 12, 4), dtype=np.uint8)
    picture = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).convert(mode)
    file = BytesIO()
    picture.save(file, "PNG", icc_profile=ICC, exif=exif_block())
    return file.getvalue()


def disc(size=(96, 72)) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse((size[0] // 4, size[1] // 4, size[0] * 2 // 3, size[1] * 2 // 3), fill=255)
    mask.putpixel((0, 0), 128)
    return mask


def same(a: Request, b: Request) -> None:
    """Equal to the last bit, but for the notes."""
    assert a.settings() == b.settings()
    assert (a.picture is None) == (b.picture is None) and (a.mask is None) == (b.mask is None)
    if a.picture is not None:
        assert a.picture.rgb.tobytes() == b.picture.rgb.tobytes() and a.picture.size == b.picture.size
        assert (a.picture.alpha is None) == (b.picture.alpha is None)
        assert a.picture.alpha is None or a.picture.alpha.tobytes() == b.picture.alpha.tobytes()
        assert (a.picture.icc, a.picture.exif) == (b.picture.icc, b.picture.exif)
    if a.mask is not None:
        assert (a.mask.mode, a.mask.size, a.mask.tobytes()) == (b.mask.mode, b.mask.size, b.mask.tobytes())


SETTINGS = {
    "prompt": 'a "red", scarf: (very:1.2)\nNegative prompt: no\nSteps: 3',
    "negative_prompt": "模糊, blurry",
    "seed": 2**32 - 1,
    "steps": 33,
    "eta": 0.37,
    "guidance_scale": 6.3,
    "strength": 0.71,
    "grow": -3,
    "sampler": "dpm++ 2m",
    "clip_skip": 1,
    "invert": True,
    "fill": "noise",
    "feather": 5,
    "quality": "",
}


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("masked", [True, False])
def test_the_request_comes_back_bit_for_bit(tmp_path, mode, masked):
    asked = Request(picture=photo(mode=mode), mask=disc() if masked else None, **SETTINGS)
    path = result_of(asked).save(tmp_path / "out.png")
    for source in (path, str(path), path.read_bytes(), BytesIO(path.read_bytes()), Image.open(path)):
        again = Request.from_image(source)
        same(asked, again)
        assert again.picture.notes == ()


def test_every_image_carries_its_own_seed():
    made = result_of(Request("x", photo(), disc(), seed=5, count=3))
    for k in range(3):
        again = Request.from_image(made.to_bytes(index=k))
        assert (again.seed, again.count) == (5 + k, 1)
        same(made.request_of(k), again)


def test_a_mask_of_another_size_and_a_picture_without_change_come_back():
    same(asked := Request("x", photo(), disc((300, 20)), seed=1), Request.from_image(result_of(asked).to_bytes()))
    same(
        asked := Request("x", photo(), Image.new("L", (96, 72)), seed=1),
        Request.from_image(result_of(asked).to_bytes()),
    )


def test_from_the_prompt_alone():
    same(asked := Request("a castle", seed=1, width=64), Request.from_image(result_of(asked).to_bytes()))


def test_alpha_that_was_painted_over_comes_back():
    asked = Request("x", photo(mode="RGBA"), seed=1, mask_from_alpha=True)
    made = result_of(asked)
    made = replace(made, images=(asked.picture.repainted(made.image.convert("RGB"), Image.new("L", (96, 72), 255)),))
    same(asked, Request.from_image(made.to_bytes()))


@pytest.mark.parametrize(("size", "where"), [((140, 72), (30, 0)), ((140, 100), (0, 28)), ((50, 50), (0, 0))])
def test_the_original_comes_back_from_a_result_of_another_size(size, where):
    asked = Request("x", photo(), seed=1)
    image, file = Image.new("RGB", size, "red"), BytesIO()
    image.paste(asked.picture.rgb, where)
    chunks = png_record.pack(asked.settings(), image, MODEL, {}, asked.picture, offset=where)
    image.save(file, "PNG", pnginfo=chunks)
    again = Request.from_image(data := file.getvalue())
    assert again.picture.rgb.tobytes() == asked.picture.rgb.tobytes() and again.picture.notes == ()
    if size != (50, 50):
        assert b"inPX" not in data  # all of it is in the result


def test_only_what_was_painted_over_is_stored():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8))
    mask = Image.new("L", noise.size)
    mask.paste(255, (100, 100, 130, 130))
    made = result_of(Request("x", noise, mask, seed=1))
    assert len(made.to_bytes()) - len(made.to_bytes(metadata="none")) < 30 * 30 * 4 + 5000


def test_settings_alone_hold_no_hidden_pixel():
    made = result_of(Request(picture=photo(), mask=disc(), **SETTINGS))
    again = Request.from_image(made.to_bytes(metadata="settings"))
    assert again.settings() == made.request.settings() and again.mask is None
    assert again.picture.rgb.tobytes() == made.image.tobytes()
    with pytest.raises(InvalidRequest, match="holds no settings"):
        Request.from_image(made.to_bytes(metadata="none"))


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_lossy_files_keep_all_settings(format):
    made = result_of(Request(picture=photo(), mask=disc(), **SETTINGS))
    again = Request.from_image(made.to_bytes(format))
    assert again.settings() == made.request.settings()
    assert again.mask is None and again.picture.size == (96, 72) and again.picture.icc == ICC


def test_the_model_is_named():
    made = result_of(Request("x", photo(), disc(), seed=1))
    assert png_record.model_of(made.to_bytes()) == MODEL
    assert png_record.model_of(made.to_bytes(metadata="none")) == {} == png_record.model_of(photo())


def test_an_edited_result_says_that_it_repeats_only_roughly():
    made = result_of(Request("x", photo(), disc(), seed=1))
    image = Image.open(BytesIO(made.to_bytes()))
    image.load()
    image.putpixel((0, 71), (1, 2, 3))
    again = Request.from_image(image)
    assert any("roughly" in note for note in again.picture.notes)


# the text of other tools


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


def test_what_another_tool_can_and_this_cannot_is_noted():
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


def test_our_text_reads_as_the_others_do():
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
def test_text_that_holds_no_settings_is_refused_soon(text):
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
def test_a_forged_setting_of_ours_is_left_out(value):
    settings, _ = infotext.read(f"x\nSteps: 5, Inpaint: {value}", options())
    assert set(settings) <= set(options()) and "steps" not in settings


# forged records

GOOD = result_of(Request("x", photo(mode="RGBA"), disc(), seed=1)).to_bytes()


def forged(change=None, text=None, chunks=None, drop=b"") -> bytes:
    """A good file with its JSON changed, or its chunks."""
    image = Image.open(BytesIO(GOOD))
    info, record = PngInfo(), json.loads(image.info["inpaint"])
    if change:
        change(record)
    info.add_itxt("inpaint", text if text is not None else json.dumps(record))
    for cid, data, *_ in image.private_chunks:
        name, _, png = data.partition(b"\0")
        if name != drop:
            info.add(cid, name + b"\0" + (chunks or {}).get(name, png))
    file = BytesIO()
    image.save(file, "PNG", pnginfo=info, exif=exif_block())
    return file.getvalue()


def setting(*path, to):
    def change(record):
        for key in path[:-1]:
            record = record[key]
        record[path[-1]] = to

    return change


def without(*path):
    def change(record):
        for key in path[:-1]:
            record = record[key]
        del record[path[-1]]

    return change


def png_of(mode, size) -> bytes:
    return original.png(Image.new(mode, size))


def bomb(size, mode=6) -> bytes:
    """A tiny PNG that says it is huge."""

    def chunk(cid, data):
        return struct.pack(">I", len(data)) + cid + data + struct.pack(">I", zlib.crc32(cid + data))

    head = struct.pack(">IIBBBBB", *size, 8, mode, 0, 0, 0)
    body = zlib.compress(bytes(10_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A right-sized part whose own text unpacks to 50 MB."""
    good = png_of("L", (96, 72))
    data = b"x\0\0" + zlib.compress(bytes(50_000_000))
    chunk = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    return good[:33] + chunk + good[33:]


def box_of_rgb() -> tuple[int, int]:
    left, top, right, bottom = json.loads(Image.open(BytesIO(GOOD)).info["inpaint"])["picture"]["box"]
    return right - left, bottom - top


BAD = {
    "no json": {"text": "{"},
    "empty": {"text": ""},
    "a list": {"text": "[]"},
    "null": {"text": "null"},
    "deep": {"text": "[" * 200_000},
    "deep object": {"text": '{"a":' * 150_000},
    "NaN": {"text": '{"version": NaN}'},
    "infinite": {"text": '{"version": 1, "settings": {"eta": Infinity}}'},
    "endless number": {"text": '{"version": ' + "9" * 5000 + "}"},
    "long": {"text": '{"version": 1, "x": "' + "a" * 1_100_000 + '"}'},
    "version text": {"change": setting("version", to="1")},
    "version true": {"change": setting("version", to=True)},
    "version 0": {"change": setting("version", to=0)},
    "version newer": {"change": setting("version", to=png_record.VERSION + 1)},
    "version gone": {"change": without("version")},
    "settings gone": {"change": without("settings")},
    "settings list": {"change": setting("settings", to=[1])},
    "steps text": {"change": setting("settings", "steps", to="20")},
    "steps many": {"change": setting("settings", "steps", to=10**9)},
    "steps object": {"change": setting("settings", "steps", to={"a": 1})},
    "prompt number": {"change": setting("settings", "prompt", to=5)},
    "prompt long": {"change": setting("settings", "prompt", to="a" * 100_000)},
    "count many": {"change": setting("settings", "count", to=10**6)},
    "sampler": {"change": setting("settings", "sampler", to="../../x")},
    "picture text": {"change": setting("picture", to="x")},
    "picture empty": {"change": setting("picture", to={})},
    "picture null with mask": {"change": lambda r: r.update(picture=None, settings={"mask_from_alpha": True})},
    "size huge": {"change": setting("picture", "size", to=[60_000, 60_000])},
    "size negative": {"change": setting("picture", "size", to=[-1, -1])},
    "size zero": {"change": setting("picture", "size", to=[0, 5])},
    "size float": {"change": setting("picture", "size", to=[1.5, 2])},
    "size true": {"change": setting("picture", "size", to=[True, True])},
    "size large number": {"change": setting("picture", "size", to=[2**70, 1])},
    "size three": {"change": setting("picture", "size", to=[1, 2, 3])},
    "size other": {"change": setting("picture", "size", to=[10, 10])},
    "offset text": {"change": setting("picture", "offset", to="00")},
    "offset far": {"change": setting("picture", "offset", to=[2**31, 0])},
    "box upside down": {"change": setting("picture", "box", to=[50, 50, 10, 10])},
    "box outside": {"change": setting("picture", "box", to=[90, 60, 96 + 30, 72 + 30])},
    "box text": {"change": setting("picture", "box", to=["a", "b", "c", "d"])},
    "alpha word": {"change": setting("picture", "alpha", to="maybe")},
    "alpha list": {"change": setting("picture", "alpha", to=[])},
    "alpha not there": {"change": setting("picture", "alpha", to="stored")},
    "mask size": {"change": setting("mask", to=[97, 72])},
    "mask true": {"change": setting("mask", to=True)},
    "mask huge": {"change": setting("mask", to=[50_000, 50_000]), "chunks": {b"mask": bomb((50_000, 50_000), 0)}},
    "mask gone": {"drop": b"mask"},
    "rgb gone": {"drop": b"rgb"},
    "mask no png": {"chunks": {b"mask": b"GIF89a" + bytes(100)}},
    "mask empty": {"chunks": {b"mask": b""}},
    "mask mode": {"chunks": {b"mask": png_of("RGB", (96, 72))}},
    "mask cut": {"chunks": {b"mask": png_of("L", (96, 72))[:60]}},
    "mask text bomb": {"chunks": {b"mask": text_bomb()}},
    "rgb size": {"chunks": {b"rgb": png_of("RGBA", (5, 5))}},
    "rgb mode": {"chunks": {b"rgb": png_of("RGB", box_of_rgb())}},
    "rgb bomb": {"chunks": {b"rgb": bomb((40_000, 40_000))}},
    "rgb garbage": {"chunks": {b"rgb": bytes(range(256)) * 20}},
}


@pytest.mark.parametrize("name", BAD)
def test_a_forged_record_is_refused_in_a_sentence(name):
    with pytest.raises(InvalidRequest) as caught:
        Request.from_image(forged(**BAD[name]))
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value) and caught.value.advice


def test_a_forged_copy_of_nothing_is_still_good():
    same(Request.from_image(GOOD), Request.from_image(forged()))


def test_fields_of_a_newer_version_are_left_out_and_noted():
    def change(record):
        record["settings"]["sparkle"] = 3
        record["weather"] = {"rain": [1, 2]}

    got = Request.from_image(forged(change))
    assert got.settings() == Request.from_image(GOOD).settings()
    assert got.picture.notes == ("The setting sparkle is unknown.",)


def test_a_forged_model_is_no_model():
    for value in ([1], "x", None, {"name": 5, "fingerprint": []}):
        assert png_record.model_of(forged(setting("model", to=value))) == {}


def test_a_newer_version_says_what_to_do():
    with pytest.raises(InvalidRequest, match=r"newer version.*Update"):
        Request.from_image(forged(setting("version", to=png_record.VERSION + 1)))


def resaved(data: bytes, change=lambda image: image) -> bytes:
    """What a program makes of it that keeps texts, as Pillow lets it, but no private chunks."""
    image = Image.open(BytesIO(data))
    info = PngInfo()
    for key, value in image.text.items():
        info.add_itxt(key, value)
    file = BytesIO()
    change(image).save(file, "PNG", pnginfo=info, exif=image.info.get("exif", b""))
    return file.getvalue()


@pytest.mark.parametrize(
    "change", [lambda image: image, lambda image: image.resize((48, 36)), lambda image: image.copy()]
)
def test_a_result_saved_again_keeps_its_settings(change):
    made = result_of(Request(picture=photo(), mask=disc(), **SETTINGS))
    data = resaved(made.to_bytes(), change)
    got = Request.from_image(data)
    assert got.settings() == made.request.settings() and got.mask is None
    assert got.picture.rgb.tobytes() == change(made.image).tobytes()
    assert [note for note in got.picture.notes if "are gone" in note] and png_record.model_of(data) == MODEL
    assert not png_record.holds_original(data) and png_record.holds_original(made.to_bytes())
    assert Request.from_image(Image.open(BytesIO(made.to_bytes())).copy()).settings() == made.request.settings()


def test_a_result_saved_again_that_needs_nothing_more_repeats():
    made = result_of(Request("a castle", seed=1, width=64))
    same(made.request, Request.from_image(resaved(made.to_bytes())))
    asked = Request("x", photo(), seed=1, strength=0)
    made = replace(result_of(asked), images=(asked.picture.repainted(asked.picture.rgb),))
    same(made.request, Request.from_image(resaved(made.to_bytes())))


@pytest.mark.parametrize("format", ["jpeg", "webp", "tiff"])
def test_settings_alone_say_that_the_mask_is_missing(format):
    made = result_of(Request(picture=photo(), mask=disc(), **SETTINGS))
    for data in (made.to_bytes(format), made.to_bytes(metadata="settings")):
        got = Request.from_image(data)
        assert got.mask is None and [note for note in got.picture.notes if "not the photo and the mask" in note]
        assert not png_record.holds_original(data)


def test_no_part_is_decoded_of_a_picture_that_is_too_large(monkeypatch):
    data = result_of(Request("x", photo(), disc((300, 200)), seed=1)).to_bytes()
    monkeypatch.setattr(original, "unpng", lambda *_: pytest.fail("a part was decoded"))
    monkeypatch.setattr(png_record.Picture, "open", lambda *_: pytest.fail("the picture was decoded"))
    for limit in (1000, 96 * 72 - 1, 300 * 200 - 1):
        with pytest.raises(inpaint.UnreadablePicture, match="megapixels"):
            Request.from_image(data, max_pixels=limit)


def test_a_small_file_that_claims_a_huge_photo_costs_nothing():
    import tracemalloc

    def claim(record):
        record["picture"]["size"], record["picture"]["box"] = [9000, 9000], None
        record["picture"]["alpha"], record["mask"] = None, [9000, 9000]

    data = forged(claim, chunks={b"mask": bomb((9000, 9000), 0)})
    tracemalloc.start()
    with pytest.raises(inpaint.UnreadablePicture, match="81 megapixels; here the limit is 12"):
        Request.from_image(data, max_pixels=12_000_000)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_a_picture_of_16_bits_and_its_way_up_come_back():
    samples = np.random.default_rng(0).integers(0, 65536, (72, 96, 3), dtype=np.uint16)
    picture = replace(inpaint.Picture.open(samples), orientation=8)
    asked = Request("x", picture, disc((72, 96)), seed=1, expand="5,0,0,3")
    image = Image.new("RGB", (101, 75), "red")
    image.paste(picture.rgb, (5, 0))
    image.paste("blue", (40, 20, 60, 50))
    wide = np.pad(samples, [(0, 3), (5, 0), (0, 0)], mode="edge")
    image.info["samples"] = wide
    data = replace(result_of(asked), images=(image,)).to_bytes()
    again = Request.from_image(data)
    same(asked, again)
    assert np.array_equal(again.picture.samples, samples) and again.picture.orientation == 8


@pytest.mark.parametrize("part", [b"", b"x" * 99, "other size", "8 bits", "cut off"])
def test_forged_samples_are_refused(part):
    samples = np.random.default_rng(0).integers(0, 65536, (72, 96, 3), dtype=np.uint16)
    image = Image.new("RGB", (96, 72), "red")
    image.info["samples"] = samples
    data = replace(result_of(Request("x", samples, disc(), seed=1)), images=(image,)).to_bytes()
    good = dict(_parts(data))
    wrong = {
        "other size": original.png(samples[:8]),
        "8 bits": original.png(Image.new("RGB", (96, 72))),
        "cut off": good[b"samples"][:-400],
    }
    with pytest.raises(InvalidRequest, match="damaged"):
        original._with_samples(samples, {b"samples": wrong.get(part, part)}, (0, 0, 96, 72), Image.new("L", (96, 72)))


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"x" * 100,
        "no/such.png",
        5,
        None,
        photo()[:200],
        np.zeros((4, 4, 3), np.uint8),
        Image.new("RGB", (4, 4)),
        photo(),
    ],
)
def test_what_is_no_result_is_refused(source):
    with pytest.raises(InpaintError):
        Request.from_image(source)


@pytest.mark.slow
def test_random_damage_is_refused_or_harmless():
    rng = np.random.default_rng(0)
    text, parts = Image.open(BytesIO(GOOD)).info["inpaint"], dict(_parts(GOOD))
    refused = 0
    for k in range(300):
        words, name = list(text), list(parts)[k % len(parts)]
        data = bytearray(GOOD if k % 3 == 0 else parts[name])
        for at in rng.integers(8, len(data), 2):
            data[at] = rng.integers(0, 256)
        for at in rng.integers(0, len(words), 2):
            words[at] = chr(rng.integers(32, 127))
        damaged = [bytes(data), forged(chunks={name: bytes(data)}), forged(text="".join(words))][k % 3]
        try:
            Request.from_image(damaged)
        except InpaintError as error:
            refused += 1
            assert str(error)
    assert 100 < refused < 300


def _parts(data: bytes):
    for _, chunk, *_ in Image.open(BytesIO(data)).private_chunks:
        yield chunk.split(b"\0", 1)


# with real painters


@pytest.fixture(scope="module", params=["toy", "builtin"])
def painter(request):
    return inpaint.load(request.param)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mode": "RGBA", "mask_from_alpha": True},
        {"expand": "24,0,8,16"},
        {"expand": "2:1"},
        {"no mask": True, "strength": 0.6},
        {"eta": 0.5, "count": 2},
        {"no picture": True, "width": 64, "height": 72},
    ],
)
def test_a_saved_result_repeats_itself(painter, tmp_path, settings):
    settings = dict(settings)
    picture = None if settings.pop("no picture", False) else photo(mode=settings.pop("mode", "RGB"))
    mask = None if settings.pop("no mask", False) or picture is None or settings.get("mask_from_alpha") else disc()
    asked = Request("a red scarf", picture, mask, steps=2, size=64, seed=11, **settings)
    made = painter(asked)
    for k, image in enumerate(made.images):
        again = Request.from_image(made.save(tmp_path / f"{k}.png", k))
        same(made.request_of(k), again)
        assert painter(again).image.tobytes() == image.tobytes()


RECORDS = Path(__file__).parent.parent / "data" / "records"
CHOSEN = ("quality", "size", "width", "height")  # what a result still leaves to the program


@pytest.mark.parametrize("name", ["version1.png", "version1.jpg"])
def test_a_picture_saved_by_the_first_version_comes_back(name):
    """It wrote 0, -1 and the word auto for what the program chooses."""
    got = Request.from_image(RECORDS / name)
    assert (got.prompt, got.seed, got.steps, got.guidance_scale, got.eta) == ("a boat", 7, 4, 7.5, 0.0)
    assert all(getattr(got, option) is None for option in CHOSEN)
    assert len(got.picture.notes) == name.endswith("jpg")  # it holds no mask
    if name.endswith("png"):
        assert got.mask is not None and np.asarray(got.picture.rgb)[20, 30].tolist() == [120, 120, 100]
        again = inpaint.load("toy")(got)
        shown = np.asarray(Image.open(BytesIO((RECORDS / name).read_bytes())))
        assert np.abs(np.asarray(again.image).astype(int) - shown).max() <= 8


@pytest.mark.parametrize("version", [1, 2])
def test_what_the_program_chose_is_read_by_the_records_version(version):
    values = {"guidance_scale": 0, "eta": -1, "seed": -1, "size": 0, "width": 0, "height": 0, "quality": "auto"}
    record = {"version": version, "settings": values, "picture": None}
    chunk = PngInfo()
    chunk.add_itxt("inpaint", json.dumps(record))
    file = BytesIO()
    disc().save(file, "PNG", pnginfo=chunk)
    if version == 1:
        got = Request.from_image(file.getvalue())
        assert all(getattr(got, name) is None for name in values)
        text = "x\nSteps: 5, Inpaint: " + json.dumps(json.dumps(values))
        assert all(value is None for value in infotext.read(text, options())[0].values())
        return
    with pytest.raises(InvalidRequest):  # today 0 is no size
        Request.from_image(file.getvalue())
    got = {**values, "eta": 0, "size": None, "width": None, "height": None}
    text = "x\nSteps: 5, Inpaint: " + json.dumps(json.dumps({"version": 2, **got}))
    assert infotext.read(text, options())[0]["guidance_scale"] == 0.0


def test_what_is_left_open_comes_back_open(tmp_path):
    result = inpaint.load("toy")(Request("a boat", photo(), seed=-7, guidance_scale=0, steps=2))
    for name in ("out.png", "out.webp"):
        got = Request.from_image(result.save(tmp_path / name))
        assert (got.guidance_scale, got.seed) == (0.0, 2**32 - 7)
        assert all(getattr(got, option) is None for option in CHOSEN)
    assert any("modulo" in note for note in result.report["notes"])


def test_another_tools_random_seed_is_left_open():
    found, _ = infotext.read("a cat\nSteps: 20, CFG scale: 0, Seed: -1", options())
    assert found["seed"] is None and found["guidance_scale"] == 0.0
    assert infotext.read("a cat\nSteps: 20, Seed: 11026764036349098123", options())[0]["seed"] == 11026764036349098123
