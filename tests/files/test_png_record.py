"""Check that a saved picture gives its request back, bit for bit where the file holds everything."""

import json
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from inpaint import InpaintError, InvalidRequest, Request
from inpaint.files import infotext, png_record
from inpaint.request import options
from tests.fakes import MODEL, result_of
from tests.files.records import SETTINGS, disc, photo, same
from tests.test_result import ICC


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


def test_an_edited_result_repeats_only_roughly_with_a_note():
    made = result_of(Request("x", photo(), disc(), seed=1))
    image = Image.open(BytesIO(made.to_bytes()))
    image.load()
    image.putpixel((0, 71), (1, 2, 3))
    again = Request.from_image(image)
    assert any("roughly" in note for note in again.picture.notes)


def resaved(data: bytes, change=lambda image: image) -> bytes:
    """Save a file as a program does that keeps texts but no private chunks."""
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
