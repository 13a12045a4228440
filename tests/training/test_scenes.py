"""Check scenes, holes, places and colours: each is as described, and depends on its seed only."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from training import cache, captions, colours, holes, place, scenes, stickers
from training.captions import Order, Thing


def test_scenes_are_a_function_of_the_seed(library, plan):
    tables = scenes.Tables(library, scenes.stamps(library, plan), (64, 64), plan)
    one, same, other = (tables.batch(4, cache.generator(plan, seed)) for seed in (1, 1, 2))
    assert all(torch.equal(getattr(one, name), getattr(same, name)) for name in ("pictures", "holes", "stamps"))
    assert not torch.equal(one.pictures, other.pictures)


@pytest.mark.parametrize("frame", [(64, 64), (96, 64), (64, 96)])
def test_scenes_have_the_frames_size_and_a_hole(library, plan, frame):
    tables = scenes.Tables(library, scenes.stamps(library, plan), frame, plan)
    batch = tables.batch(8, cache.generator(plan, 1))
    assert batch.pictures.shape == (8, 3, *frame[::-1])
    assert batch.pictures.abs().max() <= 1 + 1e-5
    assert (batch.holes.float().mean((1, 2, 3)) > 0.005).all()


def test_a_thing_is_drawn_whole_inside_the_hole(library, plan, monkeypatch):
    """Without bare scenes and others' stickers, all that differs from the ground lies in the hole."""
    monkeypatch.setattr(scenes, "BARE", 0.0)
    monkeypatch.setattr(scenes, "ABOUT", 0.0)
    tables = scenes.Tables(library, scenes.stamps(library, plan), (256, 256), plan)
    tables.grounds.fill_(110)
    batch = tables.batch(24, cache.generator(plan, 3))
    assert batch.stamps.shape == (24, 4, scenes.TEXTURE, scenes.TEXTURE)
    drawn = (batch.pictures - (110 / 127.5 - 1)).abs().amax(1, keepdim=True) > 0.1
    area = drawn.float().sum((1, 2, 3))
    outside = (drawn & ~batch.holes).float().sum((1, 2, 3))
    assert (area > 100).all(), "something is drawn"
    assert (outside / area).max() < 0.06
    assert (outside / area).mean() < 0.02


def test_a_bright_light_makes_no_glowing_rims():
    stamps = torch.tensor([0.4, 0.2, 0.0, 0.5]).view(1, 4, 1, 1)  # half transparent
    lit = scenes.relit(stamps, torch.tensor([2.0]), torch.tensor([0.1])).flatten().tolist()
    assert lit == pytest.approx([0.5, 0.45, 0.05, 0.5])


def test_nothing_is_drawn_where_nothing_is_ordered(library, plan, monkeypatch):
    monkeypatch.setattr(scenes, "BARE", 1.0)
    monkeypatch.setattr(scenes, "ABOUT", 0.0)
    tables = scenes.Tables(library, scenes.stamps(library, plan), (64, 64), plan)
    tables.grounds.fill_(110)
    assert (tables.batch(8, cache.generator(plan, 3)).pictures - (110 / 127.5 - 1)).abs().max() < 1e-5


def disc(side: int = 48) -> torch.Tensor:
    picture = Image.new("L", (side, side))
    ImageDraw.Draw(picture).ellipse((0, 0, side - 1, side - 1), fill=255)
    return torch.from_numpy(np.array(picture))[None, None] / 255.0


@pytest.mark.parametrize("middle, radius", [((128, 128), 70), ((60, 180), 40), ((30, 30), 28), ((200, 100), 20)])
def test_a_disc_fills_a_round_hole(middle, radius):
    hole = Image.new("L", (256, 256))
    ImageDraw.Draw(hole).ellipse([m + s * radius for s in (-1, 1) for m in middle], fill=255)
    side, at, fits = place.placed(disc(), torch.from_numpy(np.array(hole) > 0)[None, None])
    assert fits.all()
    assert 0.80 * 2 * radius <= side.item() <= 1.06 * 2 * radius
    assert (at[0] - torch.tensor(middle)).abs().max() <= 0.25 * radius


def test_of_two_holes_the_larger_is_taken_and_a_slim_one_holds_a_small_thing():
    hole = torch.zeros(2, 1, 256, 256, dtype=torch.bool)
    hole[0, :, 20:60, 20:60] = True
    hole[0, :, 120:220, 120:220] = True
    hole[1, :, 100:132, 16:240] = True
    side, at, fits = place.placed(disc().expand(2, -1, -1, -1), hole)
    assert fits.all()
    assert (at[0] - 170).abs().max() <= 10
    assert 80 <= side[0] <= 106
    assert 24 <= side[1] <= 35
    assert 110 <= at[1, 1] <= 122


def test_a_thing_never_leaves_the_frame_on_one_side_to_enter_on_the_other():
    hole = torch.zeros(1, 1, 256, 256, dtype=torch.bool)
    hole[..., :40, 100:160] = hole[..., 216:, 100:160] = True  # both ends of the frame: 80 px, were it a ring
    side, at, _ = place.placed(disc(), hole)
    assert side.item() <= 46
    assert min(abs(at[0, 1].item() - 20), abs(at[0, 1].item() - 236)) <= 6


@pytest.mark.parametrize("kind", holes.SHARES)
def test_holes_of_every_kind_are_painted_in_every_frame(kind, monkeypatch):
    monkeypatch.setattr(holes, "SHARES", {kind: 1.0})
    for seed in range(12):
        rng = np.random.default_rng(seed)
        for width, height in ((256, 256), (320, 192), (192, 320)):
            hole = holes.hole(rng, width, height)
            assert hole.shape == (height, width)
            assert 0.001 < hole.mean() < 0.6


def test_holes_differ_and_some_run_out_of_the_picture():
    many = np.stack([holes.hole(np.random.default_rng(seed), 128, 128) for seed in range(150)])
    touching = many[:, 0].any(1) | many[:, -1].any(1) | many[:, :, 0].any(1) | many[:, :, -1].any(1)
    assert 0.03 < touching.mean() < 0.35
    assert len(np.unique(many.reshape(150, -1).mean(1).round(4))) > 100
    assert many.reshape(150, -1).mean(1).min() < 0.03, "small and thin ones"


def sticker(colour: str) -> torch.Tensor:
    picture = Image.new("RGBA", (64, 64))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((4, 4, 60, 60), fill=colour)
    draw.rectangle((28, 0, 36, 8), fill=(30, 160, 40))
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("name", colours.NAMES)
@pytest.mark.parametrize("own", ["red", "blue", "#888888", "white"])
def test_a_thing_gets_the_colour_asked_for(name, own):
    new = colours.painted(sticker(own), torch.tensor([colours.NAMES.index(name)]))
    goal = torch.tensor(colours.PALETTE[name])
    assert (new[0, :3, 40, 32] - goal).abs().max() < 0.1
    assert torch.equal(new[:, 3], sticker(own)[:, 3])
    if own in ("red", "blue"):
        assert (new[0, :3, 3, 32] - torch.tensor([30, 160, 40]) / 255).abs().max() < 0.02, "the leaf stays green"


def test_without_a_colour_a_sticker_stays_as_it_is():
    assert torch.equal(colours.painted(sticker("red"), torch.tensor([-1])), sticker("red"))


def test_shrinking_keeps_colours_up_to_the_rim():
    small = colours.smaller(sticker("red"), 16)
    seen = small[0, :, 5:][:, small[0, 3, 5:] > 0.2]  # below the leaf
    assert (seen[0] > 0.9).all()
    assert (seen[2] < 0.1).all()


def test_orders_say_what_they_hold(library):
    names = [one.name for one in library.stickers]
    for seed in range(400):
        order = captions.order(np.random.default_rng(seed), library.stickers)
        assert 1 <= len(order.things) <= 2
        if len(order.things) == 2:
            assert len(order.words.split()) <= captions.LONGEST
        for thing in order.things:
            if thing.colour >= 0:
                name = colours.NAMES[thing.colour]
                assert any(word in order.words for word in (name, *colours.SPOKEN.get(name, ())))
                assert captions.bare(names[thing.sticker]) in order.words
        assert order.small == any(word in order.words.split() for word in captions.SMALL)
    assert captions.background(np.random.default_rng(0)).things == ()


@pytest.mark.parametrize("name, bare", [("red apple", "apple"), ("orange", "orange"), ("pizza", "pizza")])
def test_a_name_is_freed_of_its_own_colour(name, bare):
    assert captions.bare(name) == bare


def test_two_things_stand_side_by_side_or_one_above_the_other(library, plan, monkeypatch):
    orders = [Order((Thing(0), Thing(1)), "a red disc and a blue disc")]
    monkeypatch.setattr(captions, "order", lambda *_: orders[0])
    monkeypatch.setattr(scenes, "BARE", 0.0)
    tables = scenes.Tables(library, scenes.stamps(library, plan), (64, 64), plan)
    wide, tall = torch.zeros(2, 1, 1, 64, 64, dtype=torch.bool)
    wide[..., 20:40, 4:60] = tall[..., 4:60, 20:40] = True
    rows = torch.tensor([0])
    beside, above = tables.ordered(rows, wide)[0][0], tables.ordered(rows, tall)[0][0]
    assert torch.equal(tables.ordered(rows, tall)[1][0], beside), "the words do not know which way the hole is"
    assert beside[0, 96, 48] > 0.9
    assert beside[2, 96, 144] > 0.9
    assert above[0, 48, 96] > 0.9
    assert above[2, 144, 96] > 0.9


def test_textures_keep_colours_and_opacity(library):
    table = stickers.textures(library.stickers, 32)
    assert table.shape == (3, 4, 32, 32)
    assert table[0, :, 16, 16].tolist() == [255, 0, 0, 255]
    assert table[0, 3, 0, 0] == 0
