"""Check that pictures open upright and in RGB, keep what must be kept, and are refused in one sentence if hostile."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from inpaint import InpaintError, Picture, UnreadablePicture
from inpaint.files.exif import without_gps
from inpaint.files.mask_file import open_mask
from inpaint.files.picture import MAX_PIXELS

ORIENTATION, GPS, MAKE = 0x0112, 0x8825, 0x010F


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def noise(size=(23, 17), channels=4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "CMYK", "YCbCr", "HSV"])
def test_ordinary_modes_are_what_pillow_makes_of_them(mode):
    image = Image.fromarray(noise(channels=3)).convert(mode)
    picture = Picture.open(image)
    assert picture.rgb.mode == "RGB" and picture.alpha is None
    assert picture.rgb.tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_is_kept_aside(mode):
    array = noise()[..., 0] if mode == "PA" else noise()
    image = Image.fromarray(array).convert(mode)
    picture = Picture.open(image)
    assert picture.alpha.tobytes() == image.convert("RGBA").getchannel("A").tobytes()
    again = picture.repainted(picture.rgb)
    assert again.mode == "RGBA" and again.convert("RGB").tobytes() == picture.rgb.tobytes()


def test_a_palette_with_a_transparent_entry():
    image = Image.fromarray(noise()[..., :3]).quantize(8)
    picture = Picture.open(encoded(image, transparency=3))
    indices = np.asarray(Image.open(io.BytesIO(encoded(image, transparency=3))))
    assert np.array_equal(np.asarray(picture.alpha) == 0, indices == 3)


def test_sixteen_bits_are_scaled_not_cut_off():
    levels = np.linspace(0, 65535, 256 * 4).astype(np.uint16).reshape(4, 256)
    for source in (Image.fromarray(levels), encoded(Image.fromarray(levels)), levels):
        rgb = np.asarray(Picture.open(source).rgb)
        assert rgb.min() == 0 and rgb.max() == 255 and np.abs(rgb[..., 0] - levels / 257).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_photo_stands_upright_once(orientation):
    corner = Image.new("RGB", (32, 16), "black")
    corner.paste("white", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = orientation, "Camera"
    picture = Picture.open(encoded(corner, "JPEG", exif=exif.tobytes(), quality=100))
    white = {1: "tl", 2: "tr", 3: "br", 4: "bl", 5: "tl", 6: "tr", 7: "br", 8: "bl"}[orientation]
    w, h = picture.size
    assert (w, h) == ((32, 16) if orientation < 5 else (16, 32))
    spot = {"tl": (2, 2), "tr": (w - 3, 2), "bl": (2, h - 3), "br": (w - 3, h - 3)}[white]
    assert picture.rgb.getpixel(spot)[0] > 200
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept[MAKE] == "Camera" and kept.get(ORIENTATION, 1) == 1
    assert Picture.open(encoded(picture.repainted(picture.rgb), exif=picture.exif)).size == (w, h)


def test_profile_and_exif_survive_and_gps_can_be_dropped():
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[MAKE] = "Camera"
    exif.get_ifd(GPS)[1] = "N"
    picture = Picture.open(encoded(Image.fromarray(noise(channels=3)), "JPEG", icc_profile=icc, exif=exif.tobytes()))
    assert picture.icc == icc and picture.repainted(picture.rgb).info["icc_profile"] == icc
    for data, has in ((picture.exif, True), (without_gps(picture.exif), False)):
        found = Image.Exif()
        found.load(data)
        assert bool(found.get_ifd(GPS)) is has and found[MAKE] == "Camera"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_every_format_keeps_maker_date_and_place(form, tmp_path):
    written = Image.Exif()
    written[0x010F], written[0x0112] = "Maker", 6
    written.get_ifd(0x8825)[1] = "N"
    written.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    path = tmp_path / f"photo.{form.lower()}"
    Image.new("RGB", (30, 20)).save(path, exif=written.tobytes())
    picture = Picture.open(path)
    read = Image.Exif()
    read.load(picture.exif)
    turned = (30, 20) if form == "WEBP" else (20, 30)  # browsers turn no WebP
    assert picture.size == turned and 0x0112 not in read and read[0x010F] == "Maker"
    assert read.get_ifd(0x8825)[1] == "N" and read.get_ifd(0x8769)[0x9003].startswith("2020")


def test_profiles_that_do_not_fit_are_left_out():
    cmyk = Image.fromarray(noise(), "CMYK")
    assert Picture.open(encoded(cmyk, "JPEG", icc_profile=b"broken" * 50)).icc is None
    assert Picture.open(encoded(Image.fromarray(noise(channels=3)), icc_profile=b"x")).icc is None


def test_of_an_animation_the_first_frame():
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    picture = Picture.open(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert picture.rgb.getpixel((4, 4)) == (255, 0, 0) and any("first" in note for note in picture.notes)


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds almost nothing."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


HOSTILE = {
    "nothing": b"",
    "text": b"hello, I am a picture",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "cut off": encoded(Image.fromarray(noise((200, 200), 3)))[:5000],
    "cut off jpeg": encoded(Image.fromarray(noise((200, 200), 3)), "JPEG")[:3000],
    "bomb": png_header(60_000, 60_000),
    "wide bomb": png_header(2**31 - 1, 2),
    "just too large": png_header(9600, 9600),
    "signature only": b"\x89PNG\r\n\x1a\n",
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_picture_is_refused_in_one_sentence(name, tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(HOSTILE[name])
    for source in (HOSTILE[name], path, str(path), io.BytesIO(HOSTILE[name])):
        for opener in (Picture.open, open_mask):
            with pytest.raises(UnreadablePicture) as error:
                opener(source)
            assert "\n" not in str(error.value) and error.value.advice


def tiled(size: tuple[int, int], side: int, dtype, channels: int) -> bytes:
    """A TIFF of noise with square tiles."""
    out, shape = io.BytesIO(), (size[1], size[0], channels)[: 2 + (channels > 1)]
    values = np.random.default_rng(0).integers(1, 255, shape).astype(dtype)
    tifffile.imwrite(out, values, tile=(side, side), photometric="rgb" if channels > 1 else "minisblack")
    return out.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_that_would_fill_the_memory_are_refused_before_they_are_decoded(dtype, channels):
    """A few kilobytes can decompress to a tile of gigabytes, of which the picture shows a corner."""
    data = tiled((64, 48), 64, dtype, channels)
    assert Picture.open(data).size == (64, 48)
    for tag in (322, 323):  # the tile's width and length
        entry = next(e for kind in (3, 4) if (e := struct.pack("<HHI", tag, kind, 1)) in data)
        at = data.index(entry) + len(entry)
        data = data[:at] + struct.pack("<I", 20_000) + data[at + 4 :]
    for opener in (Picture.open, open_mask):
        with pytest.raises(UnreadablePicture, match="its tiles are larger than the picture"):
            opener(data)


def test_tiles_may_be_wider_than_a_narrow_picture():
    assert Picture.open(tiled((100, 5000), 1024, np.uint8, 3)).size == (100, 5000)


@pytest.mark.parametrize(
    "source",
    [
        None,
        5,
        "",
        "no/such/file.png",
        ".",
        "a\0b",
        [[1, 2], [3, 4]],
        np.zeros((0, 4)),
        np.full((4, 4), np.nan),
        np.zeros((4, 4, 7)),
        np.zeros((2, 2, 2, 2)),
        np.array(["a"]),
        np.full((4, 4), 1e9),
        io.StringIO("text"),
    ],
)
def test_sources_that_are_none(source):
    with pytest.raises(InpaintError) as error:
        Picture.open(source)
    assert len(str(error.value)) < 300


def test_a_long_and_narrow_picture_is_fine():
    assert Picture.open(Image.new("RGB", (65500, 1))).size == (65500, 1) and MAX_PIXELS > 65500


def test_masks_from_anything():
    assert open_mask(Image.new("1", (5, 4), 1)).getextrema() == (255, 255)
    assert open_mask(np.eye(6, dtype=bool)).getextrema() == (0, 255)
    assert open_mask(np.full((3, 3), 0.5)).getpixel((0, 0)) in (127, 128)
    strokes = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    strokes.paste((255, 255, 255, 255), (2, 2, 4, 4))
    assert np.array_equal(np.asarray(open_mask(strokes)) > 0, np.asarray(strokes)[..., 3] > 0)
    with pytest.raises(UnreadablePicture, match="NaN or infinity"):
        open_mask(np.full((3, 3), np.nan, np.float32))
