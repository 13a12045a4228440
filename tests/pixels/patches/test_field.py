"""The nearest-neighbour field: exact at one level, carried to the next, and its vote."""

import numpy as np
import pytest

from inpaint.pixels.patches.field import Field, usable


@pytest.fixture
def grain(rng) -> np.ndarray:
    return rng.integers(0, 256, (40, 52, 3)).astype(np.float32)


def hole_of(shape, top=15, left=20, side=8) -> np.ndarray:
    hole = np.zeros(shape[:2], bool)
    hole[top : top + side, left : left + side] = True
    return hole


def test_sources_hold_nothing_of_the_hole_nor_of_what_to_avoid(grain):
    hole, avoid = hole_of(grain.shape), hole_of(grain.shape, 0, 40, 12)
    free = usable(hole, avoid, 2)
    for y, x in np.argwhere(free):
        window = np.s_[y - 2 : y + 3, x - 2 : x + 3]
        assert not (hole | avoid)[window].any() and hole[window].shape == (5, 5)
    assert free.sum() > 500


def test_the_search_finds_what_a_plain_loop_finds(grain):
    hole = hole_of(grain.shape, side=5)
    field = Field(hole, np.zeros_like(hole), 2)
    estimate = np.roll(grain, 3, axis=1)  # every patch lies elsewhere in the picture
    field.search(estimate, grain)
    wide = np.pad(grain, ((2, 2), (2, 2), (0, 0)), mode="symmetric")
    asked = np.pad(estimate, ((2, 2), (2, 2), (0, 0)), mode="symmetric")
    centres = np.argwhere(field.usable)
    for k in range(0, len(field.y), 7):
        target = asked[field.y[k] : field.y[k] + 5, field.x[k] : field.x[k] + 5]
        best = min(((wide[y : y + 5, x : x + 5] - target) ** 2).sum() for y, x in centres)
        assert field.distance[k] == best


def test_an_enlarged_field_keeps_its_direction_and_improving_never_makes_it_worse(grain):
    half_hole = hole_of((20, 26), 7, 10, 4)
    half = Field(half_hole, np.zeros_like(half_hole), 2)
    small = grain.reshape(20, 2, 26, 2, 3).mean((1, 3)).round()
    half.search(small, small)
    hole = hole_of(grain.shape, 14, 20, 8)
    field = Field(hole, np.zeros_like(hole), 2)
    field.enlarge(half)
    number, k = field.number[18, 24], half.number[9, 12]
    assert (field.from_y[number] - 18, field.from_x[number] - 24) == (
        2 * (half.from_y[k] - 9), 2 * (half.from_x[k] - 12)
    )  # fmt: skip
    field.measure(grain)
    before = field.distance.copy()
    field.improve(grain)
    assert (field.distance <= before).all() and (field.distance < before).any()
    assert field.usable[field.from_y, field.from_x].all()


def test_a_sharp_vote_takes_whole_patches_and_a_soft_one_their_mean():
    grain = np.random.default_rng(1).integers(0, 256, (24, 24, 3)).astype(np.float32)
    hole = hole_of(grain.shape, 10, 10, 4)
    field = Field(hole, np.zeros_like(hole), 2)
    field.from_y, field.from_x = field.y - 8, field.x.copy()  # every target from eight pixels above
    field.distance = np.zeros(len(field.y), np.float32)
    for sharp in (0.0, 0.35):
        np.testing.assert_allclose(field.vote(grain, sharp)[hole], grain[2:6, 10:14].reshape(-1, 3), rtol=1e-5)
    assert np.array_equal(field.vote(grain)[~hole], grain[~hole])


def test_sixteen_bits_are_voted_for_alike(rng):
    deep = rng.integers(0, 65536, (24, 24, 3)).astype(np.float32)
    hole = hole_of(deep.shape, 10, 10, 4)
    field = Field(hole, np.zeros_like(hole), 2)
    field.search(deep / 257, deep // 257)
    assert set(np.unique(field.vote(deep, 0.2)[~hole])) <= set(np.unique(deep))
