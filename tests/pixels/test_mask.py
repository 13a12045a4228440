"""Check masks: no stroke is lost, nothing unpainted is pasted over, and the three masks imply each other."""

import random
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from inpaint import InvalidRequest, Request
from inpaint.files.picture import Picture
from inpaint.pixels.expand import sides
from inpaint.pixels.mask import islands, prepare, to_latent_grid

GREY = Picture.open(Image.new("RGB", (160, 120), "grey"))


def masks(mask, picture=GREY, **settings):
    return prepare(picture, Request("", picture, mask, **settings))


def blank(size=(160, 120)):
    mask = Image.new("L", size)
    return mask, ImageDraw.Draw(mask)


def test_no_mask_means_everything():
    assert prepare(GREY, Request("", GREY)) is None


@pytest.mark.parametrize("seed", range(60))
def test_pasted_means_painted_means_repainted(seed):
    dice = random.Random(seed)
    size = (dice.randint(1, 300), dice.randint(1, 200))
    picture = Picture.open(Image.new("RGB", size))
    mask, draw = blank(size)
    for _ in range(dice.randint(1, 4)):
        x, y = dice.randrange(size[0]), dice.randrange(size[1])
        end = dice.randrange(size[0]), dice.randrange(size[1])
        draw.line((x, y, *end), dice.choice((40, 128, 255)), dice.randint(1, 30))
    made = masks(
        mask,
        picture,
        margin=dice.choice((0, 4, 9)),
        blend=dice.choice((0, 4, 20)),
        feather=dice.choice((0, 0, 12)),
        grow=dice.choice((0, 0, 5)),
    )
    painted, hole, composite = (np.asarray(part.whole()) for part in made[:3])
    assert painted.shape == hole.shape == composite.shape == size[::-1]
    assert not (composite > 0)[painted == 0].any()
    assert (hole > 0)[painted > 0].all() and (hole > 0)[composite > 0].all()
    cells = to_latent_grid(made.hole.whole())[0, 0].numpy()
    assert (cells.repeat(8, 0).repeat(8, 1)[: size[1], : size[0]][hole > 0] > 0).all()
    assert np.array_equal(painted > 0, painted >= 26) or painted.max() < 26


@pytest.mark.parametrize("width", range(1, 9))
@pytest.mark.parametrize("offset", range(8))
def test_every_stroke_is_repainted_at_full_strength(width, offset):
    k = offset
    for line in ((10, 40 + k, 150, 40 + k), (60 + k, 5, 60 + k, 110), (10 + k, 10, 100 + k, 100)):
        mask, draw = blank()
        draw.line(line, 255, width)
        made = masks(mask, margin=0)
        stroke = np.asarray(mask) > 0
        cells = to_latent_grid(made.hole.whole())[0, 0].numpy().repeat(8, 0).repeat(8, 1)
        assert (cells[stroke] == 1).all()
        core = np.asarray(made.composite.whole())[stroke]
        assert core.max() == 255 and core.min() > 0


def test_an_empty_mask_is_reported():
    for mask in (blank()[0], Image.new("L", (160, 120), 255)):
        with pytest.raises(InvalidRequest, match="Nothing is painted") as error:
            masks(mask, invert=mask.getextrema() == (255, 255))
        assert error.value.field == "mask"
    mask, draw = blank()
    draw.rectangle((20, 20, 24, 24), 255)
    with pytest.raises(InvalidRequest, match="Nothing is painted"):
        masks(mask, grow=-10)


def test_a_mask_of_another_size_is_fitted_with_a_note():
    small, draw = blank((80, 60))
    draw.rectangle((20, 20, 39, 39), 255)
    made = masks(small, blend=0, margin=0)
    assert abs(np.asarray(made.painted.whole()).astype(bool).sum() - 1600) <= 80 and "resized" in made.notes[0]
    assert set(np.unique(np.asarray(made.painted.whole()))) == {0, 255}
    large, draw = blank((1600, 1200))
    draw.line((0, 605, 1600, 605), 255, 1)
    assert (np.asarray(masks(large).painted.whole()) > 0).any(0).all()
    assert any("another shape" in note for note in masks(Image.new("L", (50, 90), 255)).notes)


def test_from_transparency():
    array = np.zeros((40, 60, 4), np.uint8)
    array[..., 3] = 255
    array[10:20, 15:30, 3] = 0
    picture = Picture.open(Image.fromarray(array))
    made = prepare(picture, Request("", picture, mask_from_alpha=True))
    assert np.array_equal(np.asarray(made.painted.whole()) > 0, array[..., 3] == 0)
    with pytest.raises(InvalidRequest, match="no transparency"):
        prepare(GREY, Request("", GREY, mask_from_alpha=True))


def test_soft_or_snapped():
    mask = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (20, 1)))
    picture = Picture.open(Image.new("RGB", mask.size))
    soft = np.asarray(masks(mask, picture).painted.whole())[0]
    assert soft[25] == 0 and soft[26] == 26 and soft[128] == 128 and soft[253] == 255
    hard = np.asarray(masks(mask, picture, soft=False).painted.whole())[0]
    assert (hard == np.where(np.arange(256) >= 128, 255, 0)).all()
    faint = masks(Image.new("L", (160, 120), 5))
    assert np.asarray(faint.painted.whole()).min() == 5 and any("faint, at most 5" in note for note in faint.notes)


def test_snapping_keeps_a_hairline_between_two_rows():
    level = np.zeros((40, 60), np.uint8)
    level[10:12] = 127  # one pixel wide, antialiased
    level[20:30] = 127  # a broad and faint brush
    picture = Picture.open(Image.new("RGB", (60, 40)))
    hard = np.asarray(masks(Image.fromarray(level), picture, soft=False).painted.whole())
    assert (hard[10:12] == 255).all() and not hard[13:].any()


def test_likely_mistakes_are_noted():
    mask, draw = blank()
    draw.line((5, 5, 150, 100), 255, 2)
    assert any("thin" in note for note in masks(mask).notes)
    draw.rectangle((50, 50, 80, 80), 255)
    assert masks(mask).notes == ()
    assert any("Nearly everything" in note for note in masks(Image.new("L", (160, 120), 255)).notes)


def test_the_margin_carries_the_neighbours_level():
    mask, draw = blank()
    draw.rectangle((40, 40, 59, 79), 128)
    draw.rectangle((60, 40, 79, 79), 255)
    hole = np.asarray(masks(mask, margin=6).hole.whole())[60]
    assert set(hole[34:40]) == {128} and set(hole[80:86]) == {255} and hole[33] == hole[86] == 0


def test_a_soft_mask_pastes_little_where_little_changes():
    mask = Image.fromarray(np.tile(np.arange(26, 154, dtype=np.uint8), (100, 1)))
    picture = Picture.open(Image.new("RGB", mask.size))
    composite = np.asarray(masks(mask, picture, blend=0).composite.whole())[50]
    assert (composite == np.minimum(4 * np.arange(26, 154), 255)).all()


def test_fill_holes_grow_shrink_and_invert():
    mask, draw = blank()
    draw.ellipse((40, 30, 100, 90), outline=255, width=3)
    assert np.asarray(masks(mask).painted.whole())[60, 70] == 0
    assert np.asarray(masks(mask, fill_holes=True).painted.whole())[60, 70] == 255
    mask, draw = blank()
    draw.rectangle((50, 40, 99, 79), 255)
    count = {grow: (np.asarray(masks(mask, grow=grow).painted.whole()) > 0).sum() for grow in (-5, 0, 5)}
    assert count[0] == 2000 and count[-5] == 40 * 30 and 2000 + 2 * 90 * 5 < count[5] <= 60 * 50
    inverted = np.asarray(masks(mask, invert=True).painted.whole())
    assert np.array_equal(inverted > 0, np.asarray(mask) == 0)


def test_blend_softens_inwards_and_not_at_the_pictures_edge():
    mask, draw = blank()
    draw.rectangle((0, 20, 60, 99), 255)
    composite = np.asarray(masks(mask, blend=8).composite.whole()).astype(int)
    row = composite[60]
    assert row[0] == 255 and row[30] == 255 and row[61] == 0
    assert (np.diff(row[50:62]) <= 0).all() and 0 < row[60] < 64


def test_islands_join_when_near():
    mask, draw = blank()
    for box in ((5, 5, 15, 15), (30, 5, 40, 15), (120, 90, 130, 100)):
        draw.rectangle(box, 255)
    far, near = islands(mask, 8), islands(mask, 30)
    assert len(far) == 3 and len(near) == 2
    covered = Image.new("L", mask.size)
    for box in near:
        covered.paste(255, box)
    assert not (np.asarray(mask) > np.asarray(covered)).any()


def test_specks_are_no_more_than_64_islands():
    level = np.zeros((1200, 1600), np.uint8)
    level[::40, ::40] = 255
    mask = Image.fromarray(level)
    boxes = islands(mask, 16)
    covered = Image.new("L", mask.size)
    for box in boxes:
        covered.paste(255, box)
    assert 1 <= len(boxes) <= 64 and not (level > np.asarray(covered)).any()
    assert islands(Image.fromarray(level[:41, :41]), 39) == [
        (0, 0, 1, 1),
        (0, 40, 1, 41),
        (40, 0, 41, 1),
        (40, 40, 41, 41),
    ]


def test_the_latent_grid_keeps_the_highest_level():
    level = torch.rand(24, 40)
    image = Image.fromarray((level * 255).byte().numpy())
    grid = to_latent_grid(image)
    assert grid.shape == (1, 1, 3, 5)
    expected = torch.from_numpy(np.asarray(image).reshape(3, 8, 5, 8).max((1, 3)) / 255).float()
    torch.testing.assert_close(grid[0, 0], expected)
    assert to_latent_grid(image, factor=4).shape == (1, 1, 6, 10)


def test_twelve_megapixels_are_quick():
    import time

    picture = SimpleNamespace(size=(4000, 3000), alpha=None)
    mask = Image.new("L", (4000, 3000))
    ImageDraw.Draw(mask).ellipse((1000, 800, 1600, 1500), fill=255)
    request = Request("", GREY, mask)
    began = time.process_time()
    prepare(picture, request)
    assert time.process_time() - began < 2


def ring(size=(160, 120)) -> Image.Image:
    """A stroke around something, a grey patch, and a speck."""
    mask, draw = blank(size)
    draw.ellipse((40, 30, 100, 90), outline=255, width=6)
    draw.rectangle((110, 10, 130, 30), fill=140)
    draw.rectangle((5, 100, 7, 102), fill=255)
    return mask


def half_clear() -> Picture:
    """A picture with a transparent part whose edge is soft."""
    alpha = Image.new("L", (160, 120), 255)
    ImageDraw.Draw(alpha).ellipse((60, 40, 150, 110), fill=0)
    return replace(GREY, alpha=alpha.filter(ImageFilter.GaussianBlur(3)))


CLEAR = half_clear()


@pytest.mark.parametrize("expand", ["30,0,0,0", "8,16,24,32", "2:1"])
@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("grow", [-40, -2, 0, 6])
@pytest.mark.parametrize("fill_holes", [True, False])
@pytest.mark.parametrize("invert", [True, False])
@pytest.mark.parametrize("given", ["mask", "alpha", "both", "nothing", "black"])
def test_mask_options_act_before_the_canvas_is_added(given, invert, fill_holes, grow, soft, expand):
    mask = {"mask": ring(), "both": ring(), "black": Image.new("L", (160, 120))}.get(given)
    settings = {"invert": invert, "fill_holes": fill_holes, "grow": grow, "soft": soft, "margin": 0}
    settings["mask_from_alpha"] = given in ("alpha", "both")
    request = Request("", CLEAR, mask, expand=expand, **settings)
    left, top, right, bottom = sides(expand, CLEAR.size)
    made = prepare(CLEAR, request)
    whole = np.asarray(made.painted.whole())
    assert whole.shape == (120 + top + bottom, 160 + left + right)
    inner = np.s_[top : top + 120, left : left + 160]
    try:
        alone = prepare(CLEAR, replace(request, expand=""))
        wanted = np.asarray(alone.painted.whole()) if alone else np.zeros((120, 160), np.uint8)
    except InvalidRequest:  # nothing is painted; here the canvas is
        wanted = np.zeros((120, 160), np.uint8)
    assert np.array_equal(whole[inner], wanted)
    canvas = np.ones(whole.shape, bool)
    canvas[inner] = False
    assert (whole[canvas] == 255).all() and (np.asarray(made.hole.whole())[canvas] == 255).all()


@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
@pytest.mark.parametrize("expand", ["", "10,0,0,0"])
def test_a_mask_on_its_side_is_turned_as_the_photo_was(orientation, expand):
    upright = ring((160, 120))
    back = {1: 2, 5: Image.Transpose.TRANSPOSE, 6: 2, 7: Image.Transpose.TRANSVERSE, 8: 4}[
        orientation
    ]  # 2, 4: 90°, 270°
    turned = upright.transpose(Image.Transpose(back))
    picture = replace(GREY, orientation=orientation)
    made, straight = (masks(mask, picture, expand=expand) for mask in (turned, upright))
    assert made.painted.whole().tobytes() == straight.painted.whole().tobytes()
    assert [note for note in made.notes if "on its side" in note] and not any(
        "resized" in note for note in made.notes
    )
    half = masks(turned.resize((60, 80)), picture, expand=expand)
    assert [note.split()[2] for note in half.notes[:2]] == ["lay", "was"] and "80 × 60" in half.notes[1]
    other = masks(ring((100, 160)), picture, expand=expand)
    assert any("resized" in note for note in other.notes) and any("another shape" in note for note in other.notes)


def test_how_a_mask_was_understood_is_among_the_notes():
    assert any("0 and 1" in note for note in masks(ring().point(lambda v: v > 0)).notes)
    assert any("0 and 1" in note for note in masks(ring().point(lambda v: v > 0), expand="4,0,0,0").notes)


def test_what_is_missing_becomes_opaque_and_takes_no_hidden_colour():
    made = prepare(CLEAR, Request("", CLEAR, mask_from_alpha=True, blend=8))
    painted = np.asarray(made.painted.whole()) > 0
    clear = 255 - np.asarray(CLEAR.alpha)
    assert (np.asarray(made.opacity.whole()) == painted * 255).all()
    assert (np.asarray(made.composite.whole())[painted] >= clear[painted]).all()


def test_painting_over_what_is_transparent_raises_its_opacity_with_the_composite():
    mask, draw = blank()
    draw.rectangle((20, 20, 139, 99), fill=255)
    made = masks(mask, CLEAR, blend=8)
    plain = masks(mask, GREY, blend=8)
    assert made.opacity.whole().tobytes() == plain.composite.whole().tobytes()
    share, m, a = (np.asarray(image, int) for image in (made.composite.whole(), plain.composite.whole(), CLEAR.alpha))
    assert (share[(a == 0) & (m > 0)] == 255).all()  # there is no colour to mix with
    assert (share[a == 255] == m[a == 255]).all() and plain.opacity is None
    both = (m > 0) & (a > 0)
    wanted = 255 * m[both] / (a[both] + m[both] * (1 - a[both] / 255))
    assert np.abs(share[both] - wanted).max() <= 1.01
