"""Check that masks of other programs are read as they are meant, with a note wherever that was a guess."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from inpaint import Picture, Request
from inpaint.files.mask_file import notes_of, open_mask, understood

SIZE, BOX = (120, 90), (40, 30, 79, 59)
INSIDE = np.zeros(SIZE[::-1], bool)
INSIDE[30:60, 40:80] = True


def drawn(mode="RGB", background="black", colour="white", size=SIZE) -> Image.Image:
    image = Image.new(mode, size, background)
    ImageDraw.Draw(image).rectangle(BOX, fill=colour)
    return image


def photo(seed=0) -> Image.Image:
    y, x = np.mgrid[0:90, 0:120]
    waves = np.stack([np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)], -1) * 90 + 128
    noise = np.random.default_rng(seed).normal(0, 6, waves.shape)
    return Image.fromarray((waves + noise).clip(0, 255).astype(np.uint8))


def erased(image: Image.Image, hole=INSIDE) -> Image.Image:
    out = image.convert("RGBA")
    out.putalpha(Image.fromarray(np.where(hole, np.uint8(0), np.uint8(255))))
    return out


def encoded(image: Image.Image, format="PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


COLOURS = ["red", "blue", "#008000", "#800000", "yellow", "#ff00ff", "#000080", "white"]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("colour", COLOURS)
def test_any_colour_on_black_is_the_mask(colour, format):
    mask = open_mask(encoded(drawn(colour=colour), format, quality=90))
    level = np.asarray(mask)
    assert ((level >= 128) == INSIDE).mean() > 0.985 and np.median(level[INSIDE]) >= 250
    assert np.median(level[~INSIDE]) == 0 and notes_of(mask) == []


@pytest.mark.parametrize("background", ["white", "grey", "yellow", "#203040"])
@pytest.mark.parametrize("colour", ["red", "#00c0ff"])
def test_the_background_is_the_commonest_colour_of_the_border(background, colour):
    level = np.asarray(open_mask(drawn(background=background, colour=colour)))
    assert np.array_equal(level == 255, INSIDE) and not level[~INSIDE].any()


def test_a_soft_edge_of_a_colour_stays_soft():
    big = Image.new("RGB", (480, 360))
    ImageDraw.Draw(big).ellipse((160, 120, 320, 240), fill=(200, 0, 0))
    small = big.resize(SIZE, Image.Resampling.BOX)
    level, share = np.asarray(open_mask(small)), np.asarray(small)[..., 0] / 200
    assert np.abs(level / 255 - share).max() < 0.02 and notes_of(open_mask(small)) == []


def test_several_colours_are_all_mask_with_a_note():
    image = drawn(colour="red")
    ImageDraw.Draw(image).rectangle((5, 5, 20, 20), fill="#0000ff")
    wanted = INSIDE.copy()
    wanted[5:21, 5:21] = True
    for source in (image, image.quantize(8), encoded(image)):
        mask = open_mask(source)
        assert np.array_equal(np.asarray(mask) == 255, wanted)
        assert [note for note in notes_of(mask) if "2 colours" in note]
    assert Request(picture=photo(), mask=image).mask.tobytes() == open_mask(image).tobytes()


def test_the_palette_of_the_voc_data_set():
    labels = np.zeros(SIZE[::-1], np.uint8)
    labels[INSIDE], labels[29], labels[60] = 15, 255, 255  # a person, and the border that is no class
    palette = np.zeros((256, 3), np.uint8)
    palette[15], palette[255] = (192, 128, 128), (224, 224, 192)
    image = Image.fromarray(labels, "P")
    image.putpalette(palette.ravel().tolist())
    mask = open_mask(encoded(image))
    assert np.array_equal(np.asarray(mask) == 255, labels > 0) and len(notes_of(mask)) == 1


def test_a_frame_in_colour_around_black_is_the_mask():
    level = np.asarray(open_mask(drawn(background="red", colour="black")))
    assert np.array_equal(level == 255, ~INSIDE)


def test_the_dark_seam_that_jpeg_leaves_between_two_colours_is_no_background():
    image, shape = Image.new("RGB", (300, 200), (13, 8, 135)), Image.new("L", (300, 200))
    ImageDraw.Draw(image).ellipse((60, 40, 180, 150), fill=(240, 249, 33))
    ImageDraw.Draw(shape).ellipse((60, 40, 180, 150), fill=255)
    level = np.asarray(open_mask(encoded(image, "JPEG", quality=75)))
    want = np.asarray(shape) > 0
    assert ((level >= 128) == want).mean() > 0.99 and np.median(level[want]) >= 250


def test_greys_stay_what_they_are():
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (20, 1)))
    for source in (ramp, ramp.convert("RGB"), encoded(ramp)):
        assert open_mask(source).tobytes() == ramp.tobytes() and notes_of(open_mask(source)) == []
    noisy = encoded(drawn().convert("RGB"), "JPEG", quality=60)
    assert np.array_equal(np.asarray(open_mask(noisy)) >= 128, INSIDE)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "I;16", "I"])
def test_of_the_values_0_and_1_one_is_white(mode):
    ones = INSIDE.astype(np.uint8)
    image = {
        "L": lambda: Image.fromarray(ones),
        "RGB": lambda: Image.fromarray(ones).convert("RGB"),
        "I;16": lambda: Image.fromarray(ones.astype(np.uint16)),
        "I": lambda: Image.fromarray(ones.astype(np.int32)),
        "P": lambda: Image.fromarray(ones).convert("L"),
    }[mode]()
    if mode == "P":
        image = Image.fromarray(ones, "P")
        image.putpalette([c for v in range(256) for c in (v, v, v)])
    mask = open_mask(image)
    assert np.array_equal(np.asarray(mask) == 255, INSIDE) and [n for n in notes_of(mask) if "0 and 1" in n]
    assert np.array_equal(np.asarray(open_mask(ones)) == 255, INSIDE)


def numbered(*numbers) -> np.ndarray:
    """A label map with a square for each number, side by side."""
    labels = np.zeros((40, 20 * len(numbers)), np.int32)
    for place, number in enumerate(numbers):
        labels[10:30, 20 * place + 4 : 20 * place + 18] = number
    return labels


LABEL_MAPS = [(1, 2), (3,), (15, 7), tuple(range(1, 20)), (7, 8, 11, 23, 26, 33), (5, 40, 90)]


@pytest.mark.parametrize("numbers", LABEL_MAPS)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32])
def test_all_objects_of_a_label_map_are_repainted_with_a_note(numbers, kind):
    labels = numbered(*numbers)
    sources = [labels.astype(kind)]
    sources += [] if kind is np.int32 else [encoded(Image.fromarray(sources[0]))]
    for source in sources:
        mask = open_mask(source)
        assert np.array_equal(np.asarray(mask), np.where(labels > 0, 255, 0))
        assert f"up to {max(numbers)}:" in notes_of(mask)[0]


def test_faint_noise_soft_edges_and_gradients_are_no_label_maps():
    specks = np.random.default_rng(1).integers(0, 4, (90, 120)).astype(np.uint8)
    soft = np.asarray(drawn("L", colour=90).filter(ImageFilter.GaussianBlur(9)))
    slow = np.arange(900, dtype=np.uint16).repeat(30).reshape(900, 30) // 9
    levels = np.where(INSIDE, np.uint8(40), np.uint8(0)) + np.uint8(60) * np.eye(90, 120, dtype=np.uint8)
    for level in (specks, soft, slow.astype(np.uint8), levels, np.full((9, 9), 12, np.uint8)):
        assert np.array_equal(np.asarray(open_mask(level)), level) and notes_of(open_mask(level)) == []


def test_a_mask_of_ours_is_no_label_map_however_faint(tmp_path):
    from tests.fakes import result_of

    mask = understood(drawn("L", colour=13))
    request = Request(picture=photo(), mask=mask)
    assert request.mask.getextrema() == (0, 13)
    result_of(request).save(tmp_path / "a.png")
    assert Request.from_image(tmp_path / "a.png").mask.tobytes() == mask.tobytes()


@pytest.mark.parametrize("paper", [(255, 255, 255), (200, 200, 200)])
def test_black_and_another_colour_on_paper_are_both_mask(paper):
    image = drawn(background=paper, colour="red")
    ImageDraw.Draw(image).rectangle((5, 5, 34, 84), fill="black")
    wanted = INSIDE.copy()
    wanted[5:85, 5:35] = True
    assert np.array_equal(np.asarray(open_mask(image)) == 255, wanted)


@pytest.mark.parametrize("grey", [False, True])
def test_an_erased_photo_is_repainted_where_it_is_transparent(grey):
    image = photo().convert("L") if grey else photo()
    for source in (erased(image), Picture.open(erased(image)), encoded(erased(image))):
        mask = open_mask(source)
        assert np.array_equal(np.asarray(mask) == 255, INSIDE)
        assert len(notes_of(mask)) == 1 and "transparent" in notes_of(mask)[0]
    frame = np.zeros(SIZE[::-1], bool)
    frame[:20] = True
    assert np.array_equal(np.asarray(open_mask(erased(photo(), frame))) == 255, frame)


def test_an_erased_photo_in_dark_greys_is_no_set_of_strokes():
    y, x = np.mgrid[0:90, 0:120]
    light = np.exp(-((x - 20) ** 2 + (y - 20) ** 2) / 1500) * 200 + 12 * np.sin(x / 9) ** 2  # a lamp at night
    night = Image.fromarray(light.astype(np.uint8))
    for image in (night, night.point(lambda v: 255 - v), photo().convert("L").point(lambda v: v // 4 + 20)):
        mask = open_mask(encoded(erased(image)))
        assert np.array_equal(np.asarray(mask) == 255, INSIDE)
        assert len(notes_of(mask)) == 1 and "transparent" in notes_of(mask)[0]


def test_soft_white_strokes_on_a_black_board_with_a_gap_are_still_strokes():
    board = drawn("L").filter(ImageFilter.GaussianBlur(1))
    gap = np.zeros(SIZE[::-1], bool)
    gap[5:15, 5:15] = True
    assert np.array_equal(np.asarray(open_mask(erased(board, gap))) >= 128, np.asarray(board) >= 128)


def test_an_erased_drawing_is_no_set_of_strokes():
    page = Image.new("RGB", SIZE, "white")
    ImageDraw.Draw(page).text((5, 5), "some words\nof black text", fill="black")
    for image in (page, Image.new("RGB", SIZE, "#3080c0"), Image.new("RGB", SIZE, "black")):
        assert np.array_equal(np.asarray(open_mask(erased(image))) == 255, INSIDE)


@pytest.mark.parametrize(("colour", "notes"), [("black", 1), ("white", 0), ("red", 0), ("#000060", 0)])
def test_strokes_on_nothing_are_the_mask(colour, notes):
    strokes = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    ImageDraw.Draw(strokes).rectangle(BOX, fill=colour)
    mask = open_mask(strokes)
    assert np.array_equal(np.asarray(mask) == 255, INSIDE) and len(notes_of(mask)) == notes
    soft = strokes.copy()
    soft.putalpha(strokes.getchannel("A").point(lambda v: v * 3 // 5))
    assert np.array_equal(np.asarray(open_mask(soft)) > 0, INSIDE)
    assert np.asarray(open_mask(soft)).max() == (153 if colour == "white" else 255)  # only white has levels


def test_of_white_and_black_strokes_on_nothing_the_white_ones():
    strokes = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    draw = ImageDraw.Draw(strokes)
    draw.rectangle((0, 0, 15, 15), fill="black")
    draw.rectangle(BOX, fill="white")
    assert np.array_equal(np.asarray(open_mask(strokes)) == 255, INSIDE)


def test_what_holds_nothing_is_black():
    for image in (Image.new("RGBA", SIZE), Image.new("L", SIZE), Image.new("RGB", SIZE)):
        assert not np.asarray(open_mask(image)).any()


def test_a_photo_as_a_mask_is_noted():
    assert ["photo" in note for note in notes_of(open_mask(photo()))] == [True]


def test_a_mask_is_read_once_and_its_notes_stay():
    request = Request(picture=photo(), mask=drawn("L", 0, 1))
    again = Request(picture=request.picture, mask=request.mask)
    assert again.mask is request.mask and notes_of(again.mask) == notes_of(request.mask) != []


def test_the_callers_image_is_not_changed():
    image = drawn("L", 0, 255)
    assert open_mask(image) is not image and image.info == {}


def test_twelve_megapixels_of_colour_are_quick():
    import time

    image = Image.new("RGB", (4000, 3000))
    ImageDraw.Draw(image).ellipse((1000, 800, 1600, 1500), fill="red")
    began = time.process_time()
    assert open_mask(image).getbbox() == (1000, 800, 1601, 1501)
    assert time.process_time() - began < 2
