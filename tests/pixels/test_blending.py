"""Check fills, blending and colours: nothing outside changes, nothing hidden shows, seams are measured."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from inpaint import InvalidRequest
from inpaint.files.picture import Picture
from inpaint.pixels import blending, colour, seam
from inpaint.pixels.expand import expand, sides
from inpaint.pixels.fill import fill
from inpaint.pixels.laplace import solve
from inpaint.request import FILLS, FINISHES


def ramp(size=(120, 90)) -> Image.Image:
    """A picture whose colours change linearly."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    return Image.fromarray(np.stack([x + 60, y + 80, x / 2 + y / 2 + 70], -1).clip(0, 255).astype(np.uint8))


def disc(size=(120, 90), box=(30, 20, 90, 70), level=255) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse(box, fill=level)
    return mask


def mean_error(image, truth, where):
    return np.abs(np.asarray(image).astype(float) - np.asarray(truth))[np.asarray(where) > 0].mean()


@pytest.mark.parametrize("kind", [kind for kind in FILLS if kind != "auto"])
def test_a_fill_hides_the_hole_and_nothing_else(kind):
    truth, hole = ramp(), disc()
    picture = truth.copy()
    picture.paste((255, 0, 0), mask=hole)
    filled = fill(picture, hole, kind)
    outside = np.asarray(hole) == 0
    assert np.array_equal(np.asarray(filled)[outside], np.asarray(picture)[outside])
    if kind in ("original", "noise", "patch"):  # the last is filled before, at full size
        assert filled.tobytes() == picture.tobytes()
    else:
        assert not (np.asarray(filled) == (255, 0, 0)).all(-1).any()
    if kind in ("blur", "smooth"):
        assert mean_error(filled, truth, hole) < {"blur": 14, "smooth": 2}[kind]
    full = fill(picture, Image.new("L", picture.size, 255), kind)
    assert full.size == picture.size


def test_the_solution_is_harmonic():
    """A linear function solves Laplace's equation; and a solution never leaves the range of its border."""
    y, x = np.mgrid[0:80, 0:100].astype(np.float32)
    values = np.stack([x + 2 * y, x - y], -1)
    hole = np.zeros((80, 100), bool)
    hole[15:60, 20:85] = True
    solved = solve(np.where(hole[..., None], 999, values), hole)
    assert np.array_equal(solved[~hole], values[~hole])
    assert np.abs(solved - values).max() < 2.5
    steep = np.zeros((200, 240, 1), np.float32)  # 0 on the left, 1 on the right; above and below nothing flows out
    steep[:, -1] = 1
    between = np.ones((200, 240), bool)
    between[:, [0, -1]] = False
    assert np.abs(solve(steep, between)[..., 0] - np.linspace(0, 1, 240)).max() < 0.05
    noisy = np.random.default_rng(0).uniform(-1, 1, (80, 100, 1))
    surface = solve(noisy, hole)
    assert surface.min() >= -1 and surface.max() <= 1
    assert solve(noisy, np.ones((80, 100), bool)).max() == 0


@pytest.mark.parametrize("kind", FINISHES)
def test_blending_touches_nothing_outside_and_shows_nothing_hidden(kind):
    original, truth, alpha = ramp(), ramp(), disc()
    original.paste((255, 0, 0), mask=alpha)  # what is to be removed
    soft = alpha.filter(ImageFilter.GaussianBlur(2))
    soft = Image.composite(soft, Image.new("L", soft.size), alpha)
    joined, used = blending.join(original, truth, soft, kind, 4)
    outside = np.asarray(soft) == 0
    assert np.array_equal(np.asarray(joined)[outside], np.asarray(original)[outside])
    assert used == kind or kind == "auto"
    core = np.asarray(soft) == 255
    assert np.abs(np.asarray(joined).astype(int) - np.asarray(truth))[core].max() <= (6 if kind != "feather" else 0)
    if kind in ("poisson", "multiband", "auto"):
        red = np.asarray(joined).astype(int)
        assert (red[..., 0] - red[..., 1])[~outside].max() < 120  # the removed red does not shine through


def test_poisson_lifts_a_patch_of_another_brightness():
    truth, alpha = ramp(), disc()
    dark = truth.point(lambda v: max(0, v - 30))
    hard, _ = blending.join(truth, dark, alpha, "none")
    lifted, _ = blending.join(truth, dark, alpha, "poisson")
    assert mean_error(hard, truth, alpha) > 25 and mean_error(lifted, truth, alpha) < 3
    best, used = blending.join(truth, dark, alpha, "auto")
    scores = {
        kind: seam.seam_score(blending.join(truth, dark, alpha, kind)[0], alpha)
        for kind in ("feather", "poisson", "multiband")
    }
    assert used == min(scores, key=scores.get) and seam.seam_score(best, alpha) == min(scores.values())
    assert scores["poisson"] < 1.5 < seam.seam_score(hard, alpha)


def test_a_scarf_that_crosses_the_edge_does_not_stain_the_patch():
    """The patch is 30 too dark everywhere, and has painted a red bar across the mask's edge."""
    truth, alpha = ramp((200, 160)), disc((200, 160), (40, 30, 160, 130))
    dark = truth.point(lambda v: max(0, v - 30))
    bar = Image.new("L", truth.size)
    ImageDraw.Draw(bar).rectangle((85, 0, 115, 90), fill=255)
    patch = Image.composite(Image.new("RGB", truth.size, (220, 20, 20)), dark, bar)
    wanted = Image.composite(Image.new("RGB", truth.size, (250, 50, 50)), truth, bar)
    core = alpha.filter(ImageFilter.MinFilter(15))
    for kind, most in (("poisson", 6), ("none", 40)):
        joined, _ = blending.join(truth, patch, alpha, kind, 4)
        assert mean_error(joined, wanted, core) < most
    assert mean_error(joined, wanted, core) > 25  # so the limit for poisson says something


def test_multiband_hides_the_seam_and_keeps_the_patchs_own_colours_in_the_middle():
    truth, alpha = ramp((320, 260)), disc((320, 260), (20, 20, 300, 240))
    dark = truth.point(lambda v: max(0, v - 30))
    joined, _ = blending.join(truth, dark, alpha, "multiband", 4)
    middle = disc((320, 260), (155, 125, 165, 135))
    hard, _ = blending.join(truth, dark, alpha, "none")
    assert seam.seam_score(joined, alpha) < 2 and seam.seam_score(hard, alpha) > 8
    assert mean_error(joined, dark, middle) < 3 and mean_error(joined, truth, middle) > 25


@pytest.mark.parametrize("kind", ["feather", "multiband", "poisson"])
def test_what_a_soft_mask_hardly_changes_stays_the_picture(kind):
    truth, white = ramp(), Image.new("RGB", (120, 90), "white")
    soft = disc(level=20)
    soft.paste(255, (50, 40, 60, 50))
    joined = np.asarray(blending.join(truth, white, soft, kind, 4)[0]).astype(int)
    faint = np.asarray(soft) == 20
    core = np.asarray(disc(box=(38, 28, 82, 62))) > 0
    assert np.abs(joined - np.asarray(truth))[faint & core].max() <= 20


def test_thin_strokes_and_odd_places_are_joined():
    rng = np.random.default_rng(1)
    for size in ((1, 1), (2, 1), (1, 40), (33, 7), (64, 64)):
        original, patch = (Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)) for _ in "12")
        for mask in (
            Image.new("L", size),
            Image.new("L", size, 255),
            Image.new("L", size, 3),
            Image.fromarray((rng.random(size[::-1]) < 0.1).astype(np.uint8) * 255),
        ):
            for kind in FINISHES:
                joined, used = blending.join(original, patch, mask, kind, 4)
                assert used in FINISHES and joined.size == size and joined.mode == "RGB"
                kept = np.asarray(mask) == 0
                assert np.array_equal(np.asarray(joined)[kept], np.asarray(original)[kept])


def test_a_full_mask_takes_the_patch_as_it_is():
    patch = Image.new("RGB", (40, 30), "blue")
    joined, used = blending.join(ramp((40, 30)), patch, Image.new("L", (40, 30), 255), "auto")
    assert joined.tobytes() == patch.tobytes() and used == "none"
    assert seam.seam_score(joined, Image.new("L", (40, 30), 255)) == 0


def test_colours_are_matched_by_what_is_known_outside():
    truth, alpha = ramp(), disc()
    rng = np.random.default_rng(0)
    truth = Image.fromarray((np.asarray(truth) + rng.normal(0, 8, (90, 120, 3))).clip(0, 255).astype(np.uint8))
    lab = colour.to_lab(np.asarray(truth)) * 0.8 + np.float32([4, 6, -5])
    shifted = Image.fromarray(colour.from_lab(lab))
    matched = blending.match_colours(shifted, truth, alpha, 1.0)
    assert mean_error(shifted, truth, alpha) > 8 and mean_error(matched, truth, alpha) < 3
    assert blending.match_colours(shifted, truth, alpha, 0.0) is shifted
    assert blending.match_colours(shifted, truth, Image.new("L", truth.size, 255), 1.0) is shifted


def test_held_colours_are_broad_and_the_detail_stays():
    """Stripes on a ramp of one colour, held to a ramp of another: the stripes, on the other ramp."""
    stripes = 20 * (np.arange(120) // 2 % 2 * 2 - 1)[None, :, None]
    held = ramp()
    truth = np.asarray(held, np.int16) + stripes
    patch = (truth + np.array((25, -15, 10))).clip(0, 255).astype(np.uint8)
    got = np.asarray(blending.hold_colours(Image.fromarray(patch), held, 1.0), np.int16)
    middle = (slice(20, -20), slice(20, -20))
    assert abs(got[middle] - truth.clip(0, 255)[middle]).mean() < 2
    half = np.asarray(blending.hold_colours(Image.fromarray(patch), held, 0.5), np.int16)
    assert abs(half[middle].mean((0, 1)) - (got[middle].mean((0, 1)) + patch[middle].mean((0, 1))) / 2).max() < 1
    assert blending.hold_colours(held, held, 1.0).tobytes() == held.tobytes()


def test_lab_there_and_back():
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert np.abs(colour.from_lab(colour.to_lab(rgb)).astype(int) - rgb).max() <= 1
    white, grey = colour.to_lab(np.array([[255, 255, 255], [119, 119, 119]], np.uint8))
    assert white == pytest.approx((100, 0, 0), abs=0.05) and grey == pytest.approx((50, 0, 0), abs=0.4)


def test_the_report_measures():
    before, after, painted = ramp().convert("RGBA"), ramp().convert("RGBA"), disc()
    after.paste((1, 2, 3, 255), mask=painted)
    assert seam.max_change_outside(before, after, painted) == 0
    r, g, b, a = before.getpixel((2, 2))
    after.putpixel((2, 2), (r, g, b, a - 7))
    assert seam.max_change_outside(before, after, painted) == 7
    assert seam.blend_width(disc()) == 0
    ramped = Image.composite(disc().filter(ImageFilter.BoxBlur(4)), Image.new("L", (120, 90)), disc())
    assert 3 <= seam.blend_width(ramped) <= 6


@pytest.mark.parametrize(
    ("spec", "size", "added"),
    [
        ("10,0,0,5", (100, 50), (10, 0, 0, 5)),
        (" 1, 2 ,3,4 ", (9, 9), (1, 2, 3, 4)),
        ("16:9", (90, 90), (35, 0, 35, 0)),
        ("1:1", (100, 50), (0, 25, 0, 25)),
        ("2:1", (101, 100), (49, 0, 50, 0)),
    ],
)
def test_sides_of_an_expansion(spec, size, added):
    assert sides(spec, size) == added


@pytest.mark.parametrize(
    "spec", ["", "1,2,3", "0,0,0,0", "1:1", "a:b", "-1,0,0,0", "9999,0,0,0", "0:1", "1e9:1", "nan:1"]
)
def test_expansions_that_are_none(spec):
    with pytest.raises(InvalidRequest) as error:
        sides(spec, (50, 50))
    assert error.value.field == "expand"


def test_expanding_carries_everything_along():
    picture = Picture(ramp(), disc(level=200), b"icc", b"exif", ("a note",))
    larger = expand(picture, "3,4,5,6")
    assert larger.size == (128, 100) and (larger.icc, larger.exif) == (b"icc", b"exif")
    inner = (3, 4, 123, 94)
    assert larger.rgb.crop(inner).tobytes() == picture.rgb.tobytes()
    assert larger.alpha.crop(inner).tobytes() == picture.alpha.tobytes() and larger.alpha.getpixel((0, 0)) == 255


@pytest.mark.parametrize("level", [40, 128, 254])
@pytest.mark.parametrize("kind", FINISHES)
def test_a_soft_mask_over_everything_is_pasted_by_its_level(kind, level):
    original, patch = ramp(), ramp().transpose(Image.Transpose.ROTATE_180)
    joined, used = blending.join(original, patch, Image.new("L", original.size, level), kind)
    share = 1 if kind == "none" else level / 255
    before, new = np.asarray(original, float), np.asarray(patch, float)
    assert np.abs(np.asarray(joined) - (before + share * (new - before))).max() <= 1
    assert used == ("none" if kind == "none" else "feather")


@pytest.mark.parametrize("kind", [kind for kind in FINISHES if kind != "none"])
def test_colours_that_cannot_be_seen_are_not_met(kind):
    patch, composite = ramp().transpose(Image.Transpose.ROTATE_180), disc()
    alpha = Image.new("L", patch.size, 255)
    alpha.paste(0, (0, 0, 45, 90))  # the left of the picture, under the mask and beside it
    made = []
    for hidden in ("black", "magenta"):
        original = ramp()
        original.paste(hidden, (0, 0, 45, 90))
        joined, used = blending.join(original, patch, composite, kind, alpha=alpha)
        outside = np.asarray(composite) == 0
        assert np.array_equal(np.asarray(joined)[outside], np.asarray(original)[outside])
        made.append((np.asarray(joined)[~outside].tobytes(), used))
    assert made[0] == made[1]
