"""Check saved pictures: their pixels, their metadata, and that a file is written whole or not at all."""

import os
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from inpaint import InpaintError, InvalidRequest, Request
from inpaint.files import exif, writing
from tests.fakes import result_of

ICC = b"\0" * 16 + b"RGB " + b"\0" * 200
GPS, MAKE, COMMENT = 0x8825, 0x010F, 0x9286


def exif_block() -> bytes:
    block = Image.Exif()
    block[MAKE] = "Acme"
    block[GPS] = {1: "N", 2: (48.0, 8.0, 0.0)}
    block.get_ifd(0x8769)[0x829A] = 0.01
    return block.tobytes()


def result(mode="RGB", size=(40, 30), **settings):
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)).convert(mode)
    file = BytesIO()
    picture.save(file, "PNG", icc_profile=ICC, exif=exif_block())
    mask = Image.new("L", size)
    mask.paste(255, (10, 8, 25, 20))
    return result_of(Request("a red scarf", file.getvalue(), mask, **{"seed": 7, **settings}))


def test_the_first_image_and_seed_and_each_one_request():
    made = result(count=3)
    assert made.image is made.images[0] and made.seed == 7 and made.seeds == (7, 8, 9)
    assert [made.request_of(k).seed for k in range(3)] == [7, 8, 9]
    assert {made.request_of(k).count for k in range(3)} == {1}
    assert made.request.count == 3


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_png_keeps_every_pixel_profile_and_exif(tmp_path, mode):
    made = result(mode)
    assert made.save(tmp_path / "out.png") == tmp_path / "out.png"
    with Image.open(tmp_path / "out.png") as again:
        assert again.mode == mode and again.tobytes() == made.image.tobytes()
        assert again.info["icc_profile"] == ICC and again.info["exif"] == exif_block()


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_tiff_keeps_every_pixel_profile_and_exif(tmp_path, mode):
    made = result(mode)
    made.save(tmp_path / "out.tiff")
    with Image.open(tmp_path / "out.tiff") as again:
        again.load()
        assert again.format == "TIFF" and again.mode == mode and again.tobytes() == made.image.tobytes()
        assert again.info["icc_profile"] == ICC
        block = again.getexif()
        assert block[MAKE] == "Acme" and block.get_ifd(GPS)[1] == "N" and block.get_ifd(0x8769)[0x829A] == 0.01
    assert Request.from_image(tmp_path / "out.tiff").prompt == "a red scarf"


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "webp"])
def test_lossy_files_keep_profile_and_exif_and_look_the_same(tmp_path, suffix):
    made = result()
    made.save(tmp_path / f"out.{suffix}", quality=98)
    with Image.open(tmp_path / f"out.{suffix}") as again:
        assert again.format == writing.FORMATS[f".{suffix.lower()}"] and again.size == (40, 30)
        assert again.info["icc_profile"] == ICC
        block = again.getexif()
        assert block[MAKE] == "Acme" and block.get_ifd(GPS)[1] == "N" and block.get_ifd(0x8769)[0x829A] == 0.01
        assert "Steps: 20, Sampler: DDIM" in exif.comment(again.info["exif"])
        seen, meant = (np.asarray(image.convert("L"), int) for image in (again, made.image))
        assert np.abs(seen - meant).mean() < 8  # of noise, the hardest there is


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("keep", [True, False])
def test_the_place_is_kept_or_dropped(tmp_path, suffix, keep):
    for metadata in ("full", "settings", "none"):
        result(keep_gps=keep).save(tmp_path / f"out.{suffix}", metadata=metadata)
        with Image.open(tmp_path / f"out.{suffix}") as again:
            block = again.getexif()
            assert (GPS in block) == keep
            assert block[MAKE] == "Acme"


def test_a_place_cannot_hide_in_a_broken_block():
    assert exif.without_gps(b"\xff" * 40) is None and exif.without_gps(None) is None
    for cut in range(6, len(exif_block()), 7):
        left = exif.without_gps(exif_block()[:cut])
        assert left is None or GPS not in _loaded(left)


def _loaded(block: bytes) -> Image.Exif:
    loaded = Image.Exif()
    loaded.load(block)
    return loaded


def test_jpeg_shows_transparency_on_white():
    picture = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    made = result_of(Request("x", picture, Image.new("L", (16, 16)), seed=1))
    again = Image.open(BytesIO(made.to_bytes("jpg")))
    assert again.mode == "RGB" and again.getpixel((8, 8)) == (255, 255, 255)
    assert Image.open(BytesIO(made.to_bytes("webp"))).getpixel((8, 8))[3] == 0


@pytest.mark.parametrize(("quality", "sampling"), [(60, 2), (82, 1), (96, 0)])
def test_a_jpeg_goes_back_into_a_jpeg_of_its_own_quality(quality, sampling):
    """Without a quality the file is about as large as the photo's, and where nothing is painted it looks like it."""
    from PIL import JpegImagePlugin

    file, photo = BytesIO(), Image.radial_gradient("L").resize((320, 240))
    photo = Image.merge("RGB", (photo, photo.rotate(180), Image.effect_noise(photo.size, 20)))
    photo.save(file, "JPEG", quality=quality, subsampling=sampling)
    mask = Image.new("L", photo.size)
    mask.paste(255, (16, 16, 80, 64))
    made = result_of(Request("", file.getvalue(), mask))
    again = Image.open(BytesIO(made.to_bytes("JPEG", quality=None)))
    before = Image.open(file)
    assert again.quantization == before.quantization
    assert JpegImagePlugin.get_sampling(again) == sampling
    assert len(made.to_bytes("JPEG", metadata="none", quality=None)) < 1.25 * len(file.getvalue())
    change = np.abs(np.asarray(again).astype(int) - np.asarray(before))[96:, 96:]
    assert change.mean() < 1.5 and change.max() < 40
    once_more = Request("", made.image, mask).picture
    assert result_of(Request("", once_more, mask)).to_bytes("JPEG", quality=None)[:2] == b"\xff\xd8"
    assert Image.open(BytesIO(result().to_bytes("JPEG", quality=None))).quantization != before.quantization


def test_webp_is_lossless_at_100_and_quality_matters():
    made = result()
    assert Image.open(BytesIO(made.to_bytes("WEBP", quality=100))).tobytes() == made.image.tobytes()
    sizes = [len(made.to_bytes("JPEG", quality=q)) for q in (20, 60, 95)]
    assert sizes == sorted(sizes) and len(set(sizes)) == 3


@pytest.mark.parametrize("metadata", ["full", "settings", "none"])
def test_metadata_holds_only_what_it_may(metadata):
    data = result().to_bytes("png", metadata=metadata)
    info = Image.open(BytesIO(data)).info
    assert ("parameters" in info) == ("inpaint" in info) == (metadata != "none")
    assert (b"inPX" in data) == (metadata == "full")
    assert (b"a red scarf" in data) == (metadata != "none")
    for format in ("jpeg", "webp"):
        again = Image.open(BytesIO(result().to_bytes(format, metadata=metadata)))
        assert ("a red scarf" in exif.comment(again.info["exif"])) == (metadata != "none")


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_what_an_earlier_run_wrote_into_a_photo_can_be_left_out(format):
    first = result_of(Request("my secret", result().to_bytes("jpeg"), seed=1)).to_bytes("jpeg")
    second = result_of(Request("x", first, seed=2))
    again = Image.open(BytesIO(second.to_bytes(format, metadata="none")))
    assert exif.comment(again.info["exif"]) == "" and again.getexif()[MAKE] == "Acme"
    comment = b"UNICODE\0" + "a fine day".encode("utf-16-be")
    second.image.info["exif"] = _with(comment)
    again = Image.open(BytesIO(second.to_bytes(format, metadata="none")))
    assert exif.comment(again.info["exif"]) == "a fine day"


def _with(comment: bytes) -> bytes:
    block = Image.Exif()
    block.get_ifd(0x8769)[COMMENT] = comment
    return block.tobytes()


def test_a_long_prompt_and_a_fat_exif_block_still_fit_into_a_jpeg():
    long = result(negative_prompt="✗" * 4000, quality="✓" * 4000)
    assert "✗✗✗" in exif.comment(Image.open(BytesIO(long.to_bytes("jpeg"))).info["exif"])
    block = Image.Exif()
    block[MAKE] = "Acme" * 16000
    long.image.info["exif"] = block.tobytes()
    for metadata in ("full", "none"):
        again = Image.open(BytesIO(long.to_bytes("jpeg", metadata=metadata)))
        assert again.size == (40, 30)
    assert "Acme" in Image.open(BytesIO(long.to_bytes("webp"))).getexif()[MAKE]


@pytest.mark.parametrize("name", ["out", "out.bmp", "out.png.exe", ".png", "out."])
def test_other_formats_are_refused_by_name(tmp_path, name):
    with pytest.raises(InvalidRequest, match=r"\.png, \.jpg, \.jpeg, \.webp"):
        result().save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"quality": 0}, "quality"),
        ({"quality": 101}, "quality"),
        ({"quality": True}, "quality"),
        ({"quality": "9"}, "quality"),
        ({"metadata": "some"}, "metadata"),
        ({"metadata": None}, "metadata"),
    ],
)
def test_wrong_settings_are_refused(settings, field):
    with pytest.raises(InvalidRequest) as caught:
        result().to_bytes("JPEG", **settings)
    assert caught.value.field == field


def test_a_side_too_long_for_the_format_is_refused_in_words():
    made = result_of(Request("x", Image.new("RGB", (17000, 1)), seed=1))
    with pytest.raises(InvalidRequest, match="16383 pixels"):
        made.to_bytes("webp")
    assert Image.open(BytesIO(made.to_bytes("jpeg"))).size == (17000, 1)


class Broken(Exception):
    pass


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), Broken()])
def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, error):
    target = tmp_path / "out.png"
    target.write_bytes(b"old")

    def fail(*_):
        raise error

    monkeypatch.setattr(writing.os, "fsync", fail)
    expected = InpaintError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught:
        result().save(target)
    if expected is InpaintError:
        assert "no space left" in str(caught.value) and caught.value.advice
    assert target.read_bytes() == b"old" and os.listdir(tmp_path) == ["out.png"]


def test_what_is_not_yet_whole_is_not_there(tmp_path):
    with writing.whole(tmp_path / "out.png") as file:
        file.write(b"half")
        file.flush()
        assert not (tmp_path / "out.png").exists()
    assert (tmp_path / "out.png").read_bytes() == b"half"
    assert os.listdir(tmp_path) == ["out.png"]
    assert (tmp_path / "out.png").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_impossible_places_are_named(tmp_path):
    for path in (tmp_path / "no" / "folder.png", tmp_path / ("x" * 300 + ".png"), tmp_path / "a\0b.png"):
        with pytest.raises(InpaintError, match="cannot be written"):
            result().save(path)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InpaintError, match="cannot be written"):
        result().save(tmp_path / "folder.png")
    assert os.listdir(tmp_path) == ["folder.png"]


def test_a_link_is_followed_not_replaced(tmp_path):
    (tmp_path / "real.png").write_bytes(b"old")
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    result().save(tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real.png").read_bytes().startswith(b"\x89PNG")


def test_names_are_free_and_numbered(tmp_path):
    out = tmp_path / "a.png"
    assert [writing.write_new(out, b"x").name for _ in range(3)] == ["a.png", "a-1.png", "a-2.png"]
    assert sorted(os.listdir(tmp_path)) == ["a-1.png", "a-2.png", "a.png"]
    assert writing.numbered(out, 1) == [out]
    assert writing.numbered(out, 3) == [tmp_path / f"a-{k}.png" for k in (1, 2, 3)]
