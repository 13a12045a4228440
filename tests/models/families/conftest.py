"""Fixtures: tiny random models of each family, each made and loaded once."""

from functools import cache

import pytest

import inpaint
from tests.models.families import tiny

KINDS = {
    "sdxl": tiny.sdxl,
    "sdxl-inpaint": lambda: tiny.sdxl(9),
    "sd3": tiny.sd3,
    "dev": tiny.flux,
    "schnell": lambda: tiny.flux("schnell"),
    "fill": lambda: tiny.flux("fill"),
}


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Name of a kind -> (diffusers' pipeline, the folder where it is saved)."""

    @cache
    def make(kind):
        pipeline = KINDS[kind]()
        return pipeline, tiny.saved(pipeline, tmp_path_factory.mktemp("families") / kind)

    return make


@pytest.fixture(scope="session")
def both(made):
    """Name of a kind -> (diffusers' pipeline, our model of the same folder)."""

    @cache
    def load(kind):
        pipeline, folder = made(kind)
        return pipeline, inpaint.load(str(folder), dtype="float32", device="cpu").model

    return load
