"""Check that one model is loaded at a time, and only replaced by one that exists."""

from __future__ import annotations

import gc
import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from inpaint import ModelError, ModelUnavailable, OutOfMemory
from inpaint.models import loading
from inpaint.pixels.mask import SparseMask
from page.jobs import current_model as module
from page.jobs.current_model import CurrentModel
from page.jobs.events import Loading, Preview
from page.jobs.kept_steps import KeptStep
from page.paint.running import Stencil
from tests.conftest import GOLDEN
from tests.fakes import FakeStep

LDM, CONFIG = GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors", GOLDEN / "model_diffusers"


class Models:
    """Loads models that are nothing but a name, and remembers which of them were alive when."""

    def __init__(self):
        self.alive, self.log, self.found = set(), [], []

    def find(self, name, **_):
        self.found.append(name)
        if name == "mistyped":
            raise ModelUnavailable("The Hub has no public model mistyped.")

    def load(self, name, **_):
        self.log.append((name, frozenset(self.alive)))
        if name == "broken":
            raise ModelError("It is broken.")
        if name == "big":
            raise MemoryError
        return Model(name, self.alive)

    @property
    def loaded(self) -> list[str]:
        return [name for name, _ in self.log]


class Model:
    def __init__(self, name, alive):
        self.name, self.alive, self.device = name, alive, None
        alive.add(name)

    def __del__(self):
        self.alive.discard(self.name)


@pytest.fixture
def models(monkeypatch):
    monkeypatch.setattr("inpaint.inpainter.Inpainter", lambda model: SimpleNamespace(model=model))
    monkeypatch.setattr(module, "TICK", 0.01)
    return Models()


@pytest.fixture
def current(models):
    return CurrentModel(models.load, models.find)


def test_the_old_model_goes_first_and_comes_back_if_the_new_one_fails(current, models):
    current.load("a")
    current.load("a")
    assert models.loaded == ["a"]
    current.load("b")
    assert models.log[-1] == ("b", frozenset()) and current.name == current.painter.model.name == "b"
    with pytest.raises(ModelError, match="broken"):
        current.load("broken")
    assert models.log[-2:] == [("broken", frozenset()), ("b", frozenset())] and current.painter.model.name == "b"
    with pytest.raises(OutOfMemory, match="big"):
        current.load("big")
    assert current.name == "b" and models.alive == {"b"}


def test_a_mistyped_name_costs_nobody_the_loaded_model(current, models):
    list(current.switch_to("a"))
    for switch in (lambda: list(current.switch_to("mistyped")), lambda: current.load("mistyped")):
        with pytest.raises(ModelUnavailable):
            switch()
    assert current.name == "a" and models.loaded == ["a"]


def test_the_real_names_are_looked_for_before_anything_is_unloaded():
    with pytest.raises(ModelError, match="biultin"):
        loading.find("biultin")
    loading.find("builtin")
    loading.find("toy")


def test_an_embedding_that_does_not_fit_costs_nobody_the_loaded_model(models, tmp_path):
    current = CurrentModel(models.load)
    current.load("builtin")
    save_file({"emb_params": torch.zeros(1, 1280)}, tmp_path / "xl.safetensors")
    with pytest.raises(ModelError, match="made for Stable Diffusion XL"):
        current.load("builtin", embeddings=(str(tmp_path / "xl.safetensors"),))
    assert current.name == "builtin" and models.loaded == ["builtin"]


def test_switching_reports_that_the_model_is_being_loaded(current):
    events = list(current.switch_to("a"))
    assert events[0] == Loading("a", 0) and all(isinstance(event, Loading) for event in events)
    assert list(current.switch_to("a")) == []


def test_whoever_cancels_a_download_stops_it_and_frees_the_others(models):
    pieces, told, ended = threading.Semaphore(0), [], threading.Event()

    def find(name, progress=None, **_):
        if name != "large":
            return
        try:
            for done in range(0, 100 * 2**20, 2**20):
                assert pieces.acquire(timeout=20)
                progress(SimpleNamespace(done=done))
                told.append(done)
        finally:
            ended.set()

    current = CurrentModel(models.load, find)
    current.load("a")
    leaving = current.switch_to("large")
    assert next(leaving) == Loading("large", 0)
    pieces.release(4)
    assert next(event for event in leaving if event.megabytes == 3)
    leaving.close()
    assert current.name == "a" and list(current.switch_to("a")) == [], "nobody waits for it"
    pieces.release(1)
    assert ended.wait(20) and len(told) == 4, "the next piece is not asked for"
    assert models.loaded == ["a"]


def test_kept_steps_let_go_of_the_model_before_the_next_one_comes(current, models):
    """Wherever a step is: in a session's film, in an event on its way to a slow browser, or in what it has shown."""

    current.load("a")
    step, composite = FakeStep(2, 4, 500), SparseMask(Image.new("L", (4, 4), 255), 0, 0, (40, 30))
    object.__setattr__(step, "render", SimpleNamespace(composite=composite, model=current.painter.model))
    on_its_way, stencil = Preview(2, 4, 0.1, None, KeptStep(step)), Stencil(None)
    assert stencil.of(on_its_way) and stencil.of(on_its_way) is None, "it is sent once"
    picture = on_its_way.data()
    del step
    current.load("b")
    gc.collect()
    assert models.log[-1] == ("b", frozenset()) and models.alive == {"b"}
    assert on_its_way.step is None and on_its_way.data() == picture and on_its_way.picture().size == (40, 30)


def test_a_model_whose_unet_is_broken_leaves_the_old_one(tmp_path):
    folder, current = tmp_path / "model", CurrentModel()
    shutil.copytree(loading.BUILTIN, folder)
    file = folder / "unet_inpainting" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    current.load(str(LDM), config=str(CONFIG))
    with pytest.raises(ModelError):
        current.load(str(folder))
    assert current.name == current.painter.model.name == str(LDM)


def test_ten_switches_leave_memory_where_it_was():
    from tests.models.test_loading import latents

    current, resident = CurrentModel(), []
    for k in range(12):
        current.load("builtin") if k % 2 else current.load(str(LDM), config=str(CONFIG))
        model = current.painter.model
        model.unet(model.methods[0])(latents(model), 1, model.embed(["x"]))
        del model
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident.append(pages * os.sysconf("SC_PAGE_SIZE"))
    assert max(resident[-2:]) <= 1.05 * max(resident[:2])


def test_the_listed_models_are_the_families():
    from page.limits import LISTED

    assert set(LISTED) == set(loading.FAMILIES)
