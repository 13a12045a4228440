"""Check that the original comes back from a saved result, and that only what is needed is stored."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import inpaint
from inpaint import InvalidRequest, Request
from inpaint.files import original, png_record
from tests.fakes import MODEL, result_of
from tests.files.records import bomb, disc, forged, photo, private_chunks, same


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
    good = dict(private_chunks(data))
    wrong = {
        "other size": original.png(samples[:8]),
        "8 bits": original.png(Image.new("RGB", (96, 72))),
        "cut off": good[b"samples"][:-400],
    }
    with pytest.raises(InvalidRequest, match="damaged"):
        original._with_samples(samples, {b"samples": wrong.get(part, part)}, (0, 0, 96, 72), Image.new("L", (96, 72)))
