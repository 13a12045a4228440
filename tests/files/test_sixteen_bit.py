"""Check that 16 bits a channel are kept to the last bit where nothing is painted, in PNG and TIFF."""

import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw

import inpaint
from inpaint import Picture, Request
from inpaint.files import sixteen_bit
from inpaint.files.mask_file import open_mask

H, W = 40, 56


@pytest.fixture(scope="module")
def painter():
    return inpaint.load("toy")


def samples(channels: int, seed=0) -> np.ndarray:
    out = np.random.default_rng(seed).integers(0, 65536, (H, W, channels), dtype=np.uint16)
    out[0, 0] = 65535
    return out if channels > 1 else out[..., 0]


def png(values: np.ndarray) -> bytes:
    return imagecodecs.png_encode(np.ascontiguousarray(values))


def tiff(values: np.ndarray, **options) -> bytes:
    file, channels = io.BytesIO(), 1 if values.ndim == 2 else values.shape[2]
    options = {"photometric": "rgb" if channels > 2 else "minisblack", "metadata": None, **options}
    if channels == 4:
        options["extrasamples"] = ["unassalpha"]
    if options.get("planarconfig") == "separate":
        values = np.moveaxis(values, -1, 0)
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray:
    if data.startswith(b"\x89PNG"):
        return imagecodecs.png_decode(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return file.pages[0].asarray()


FILES = {
    "png rgb": lambda v: png(v[..., :3]),
    "png rgba": png,
    "png grey": lambda v: png(v[..., 0]),
    "png grey and alpha": lambda v: png(v[..., [0, 3]]),
    "tiff rgb": lambda v: tiff(v[..., :3]),
    "tiff rgba": tiff,
    "tiff grey": lambda v: tiff(v[..., 0]),
    "tiff of motorola": lambda v: tiff(v[..., :3], byteorder=">"),
    "tiff lzw": lambda v: tiff(v[..., :3], compression="lzw", predictor=True),
    "tiff zip": lambda v: tiff(v, compression="zlib", predictor=True),
    "tiff in planes": lambda v: tiff(v[..., :3], planarconfig="separate"),
    "tiff in tiles": lambda v: tiff(v[..., :3], tile=(16, 16)),
}


def expected(name: str, values: np.ndarray) -> np.ndarray:
    if "grey" in name:
        return values[..., [0, 0, 0, 3]] if "alpha" in name else values[..., [0, 0, 0]]
    return values if "rgba" in name or "zip" in name else values[..., :3]


def painted_box() -> tuple[Image.Image, np.ndarray]:
    mask = Image.new("L", (W, H))
    mask.paste(255, (12, 10, 40, 30))
    return mask, np.asarray(mask) > 0


@pytest.mark.parametrize("written", ["PNG", "TIFF"])
@pytest.mark.parametrize("name", FILES)
def test_every_bit_outside_the_mask_is_kept(painter, name, written):
    values = samples(4)
    values[..., 3] |= 0xF000  # hardly transparent: painting over a hole is another test
    data = FILES[name](values)
    mask, inside = painted_box()
    made = painter(Request("x", data, mask, steps=1, seed=3, blend=4))
    saved = made.to_bytes(written)
    got, truth = decoded(saved), expected(name, values)
    assert got.dtype == np.uint16 and np.array_equal(got[~inside], truth[~inside])
    shown = np.asarray(made.image)
    assert np.abs(got.astype(int) - shown.astype(int) * 257).max() <= 128  # what is painted is widened
    assert any("16 bits" in note for note in made.report["notes"]) and len(made.report["notes"]) == 1
    with Image.open(io.BytesIO(saved)) as image:  # and other programs can read it
        assert image.mode == made.image.mode and image.size == (W, H)
        assert np.abs(np.asarray(image).astype(int) - shown).max() <= 1


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_formats_of_8_bits_hold_8(painter, format):
    made = painter(Request("x", png(samples(3)), painted_box()[0], steps=1, seed=3))
    with Image.open(io.BytesIO(made.to_bytes(format, quality=100))) as image:
        assert image.mode == "RGB"


def test_16_bits_survive_repainting_again_expanding_and_the_file(painter):
    values = samples(3)
    mask, inside = painted_box()
    first = painter(Request("x", png(values), mask, steps=1, seed=3))
    for source in (
        first.image,
        first.to_bytes("PNG"),
        first.to_bytes("TIFF"),
        first.to_bytes("PNG", metadata="none"),
    ):
        second = painter(Request("x", Picture.open(source), mask.transpose(0), steps=1, seed=4))
        kept = ~inside & ~inside[:, ::-1]
        assert np.array_equal(decoded(second.to_bytes())[kept], values[kept])
    wide = painter(Request("x", Picture.open(first.image), expand="8,0,16,24", steps=1, seed=4))
    assert np.array_equal(decoded(wide.to_bytes("TIFF"))[:H, 8 : 8 + W][~inside], values[~inside])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_16_bit_photo_is_turned_upright_with_its_bits(orientation):
    values = samples(3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    block = exif.tobytes()[6:]
    chunk = sixteen_bit._chunk(b"eXIf", block)
    plain = png(values)
    sources = (plain[:33] + chunk + plain[33:], tiff(values, extratags=[(0x0112, "H", 1, orientation, True)]))
    for source in sources:
        picture = Picture.open(source)
        with Image.open(io.BytesIO(source)) as image:
            from PIL import ImageOps

            upright = np.asarray(ImageOps.exif_transpose(image), int)
        assert picture.samples.shape[:2] == picture.size[::-1] == upright.shape[:2]
        assert np.abs(sixteen_bit.eight_bits(picture.samples).astype(int) - upright).max() <= 1
        assert np.array_equal(sixteen_bit.eight_bits(picture.samples), np.asarray(picture.rgb))


def test_the_page_an_open_image_stands_at(painter):
    file, pages = io.BytesIO(), [samples(3, seed) for seed in range(3)]
    with tifffile.TiffWriter(file) as writer:
        for page in pages:
            writer.write(page, photometric="rgb")
    with Image.open(file) as image:
        image.seek(2)
        picture = Picture.open(image)
    assert np.array_equal(picture.samples, pages[2]) and any("only the first" in note for note in picture.notes)
    assert np.array_equal(Picture.open(file.getvalue()).samples, pages[0])


def test_a_transparent_colour_of_16_bits():
    values = samples(3)
    values[5:10, 5:10] = 1000, 2000, 3000
    plain = png(values)
    picture = Picture.open(plain[:33] + sixteen_bit._chunk(b"tRNS", bytes([3, 232, 7, 208, 11, 184])) + plain[33:])
    clear = np.zeros((H, W), bool)
    clear[5:10, 5:10] = True
    assert np.array_equal(np.asarray(picture.alpha) == 0, clear) and np.array_equal(picture.samples[..., :3], values)


def test_arrays_of_16_bits_too(painter):
    values, (mask, inside) = samples(3), painted_box()
    made = painter(Request("x", values, mask, steps=1, seed=3))
    assert np.array_equal(decoded(made.to_bytes())[~inside], values[~inside])


def test_rounding_is_to_the_nearest_and_undone_exactly():
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    eight = sixteen_bit.eight_bits(every)
    assert np.abs(eight.astype(int) * 257 - every).max() == 128 and eight[0, 0, 0] == 0 and eight[-1, -1, 0] == 255
    assert np.array_equal(sixteen_bit.merged(eight, every), every)
    other = eight + np.uint8(1)  # wraps around: every one is another
    assert np.array_equal(sixteen_bit.merged(other, every), other * np.uint16(257))


# shown by the range that is used


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("make", [png, tiff])
@pytest.mark.parametrize("channels", [1, 3])
def test_fewer_bits_in_16_are_shown_by_their_own_range(bits, make, channels):
    values = (samples(channels) >> (16 - bits)).astype(np.uint16)
    picture = Picture.open(make(values))
    seen = np.asarray(picture.rgb)[..., 0] if channels == 1 else np.asarray(picture.rgb)
    assert np.abs(seen / 255 - values / (2**bits - 1)).max() < 0.003 and len(picture.notes) == 1
    assert f"{bits} of its 16 bits" in picture.notes[0]


def test_a_dark_photo_of_16_bits_stays_dark():
    values = samples(3) >> 2
    assert np.abs(np.asarray(Picture.open(png(values)).rgb) - values / 257).max() <= 1


FLOATS = [(0, 1, 1), (0, 255, 255), (0.5, 3000, 3000), (0, 1.6, 1.6), (0, 7, 7)]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    ("low", "high", "top"), [(0, 1, 1), (0, 255, 255), (0.5, 3000, 3000), (0, 1.6, 1.6), (0, 7, 7)]
)
def test_floats_are_shown_by_their_range(channels, low, high, top):
    values = np.random.default_rng(1).uniform(low, high, (H, W, channels)).astype(np.float32)
    values[0, 0], values[-1, -1] = high, low
    values = values[..., 0] if channels == 1 else values
    picture = Picture.open(tiff(values))
    seen = np.asarray(picture.rgb)[..., 0] if channels == 1 else np.asarray(picture.rgb)
    truth = values if channels < 4 else values[..., :3]
    assert np.abs(seen / 255 - truth / top).max() < 0.003 and len(picture.notes) == 1


def test_negative_floats_and_numbers_that_are_none():
    values = np.linspace(-2, 2, H * W, dtype=np.float32).reshape(H, W)
    values[5, 5], values[6, 6] = np.nan, np.inf
    seen = np.asarray(Picture.open(tiff(values)).rgb)[..., 0]
    assert seen[0, 0] == 0 and seen[-1, -1] == 255 and seen[5, 5] == seen[6, 6] == 128


@pytest.mark.parametrize("make", [png, tiff])
def test_masks_of_16_bits(make):
    values = np.zeros((H, W), np.uint16)
    values[10:20, 10:30] = 4095
    assert np.array_equal(np.asarray(open_mask(make(values))) == 255, values > 0)


@pytest.mark.parametrize("top", [2**32 - 1, 3_000_000_000, 2_000_000_000])
def test_unsigned_numbers_of_32_bits_are_not_read_as_negative(top):
    values = np.round(np.linspace(0, 1, H * W) * top).astype(np.uint32).reshape(H, W)
    seen = np.asarray(Picture.open(tiff(values)).rgb)[..., 0]
    assert np.abs(seen / 255 - values / top).max() < 0.003
    assert np.array_equal(
        np.asarray(open_mask(tiff(np.where(values > top // 2, np.uint32(top), np.uint32(0))))) == 255,
        values > top // 2,
    )
    signed = values.astype(np.int64) - top // 2
    if top < 2**31:
        seen = np.asarray(Picture.open(tiff(signed.astype(np.int32))).rgb)[..., 0]
        assert np.abs(seen / 255 - values / top).max() < 0.003


@pytest.mark.parametrize("cut", [30, 60, 200, 2000])
@pytest.mark.parametrize("make", [png, tiff])
def test_damaged_files_of_16_bits_are_refused_in_a_sentence(make, cut):
    data = make(samples(3))
    for broken in (data[:-cut], data[:100] + bytes(cut) + data[100 + cut :]):
        try:
            assert Picture.open(broken).size
        except inpaint.UnreadablePicture as error:
            assert error.advice and "\n" not in str(error)


def test_a_tiff_that_claims_to_be_huge_is_refused_at_once():
    import tracemalloc

    data = tiff(np.zeros((4, 4, 3), np.float32))
    for tag in (256, 257):  # width and height, in the first directory
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            at = file.pages[0].tags[tag].valueoffset
        data = data[:at] + (60_000).to_bytes(2, "little") + data[at + 2 :]
    tracemalloc.start()
    with pytest.raises(inpaint.UnreadablePicture):
        Picture.open(data)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("painted", ["a disc", "a scratch"])
def test_a_fill_is_copied_with_its_16_bits(painter, channels, painted):
    """A slope of less than one 8-bit level a pixel goes on in 16 bits, not in steps of 257."""
    slope = np.linspace(20_000, 26_000, 160).astype(np.uint16)
    deep = np.dstack([np.tile(slope, (120, 1))] * 3 + [np.full((120, 160), 65535, np.uint16)] * (channels - 3))
    hole = Image.new("L", (160, 120))
    draw = ImageDraw.Draw(hole)
    if painted == "a disc":
        draw.ellipse((60, 40, 100, 80), fill=255)
    else:
        draw.line((30, 30, 120, 90), fill=255, width=3)
    inside = np.asarray(hole) > 0
    made = painter(Request(picture=sixteen_bit.bare_png(deep), mask=hole, fill="patch", strength=0, seed=1))
    got = decoded(made.to_bytes("PNG"))
    assert np.array_equal(got[~inside], deep[~inside]) and not np.array_equal(got[inside], deep[inside])
    assert (got[inside][:, :3] % 257 != 0).mean() > 0.8
    assert np.abs(got[inside][:, :3].astype(int) - deep[inside][:, :3]).max() < 1500
    assert np.array_equal(Request.from_image(made.to_bytes("PNG")).picture.samples, deep)
