"""Remove model files while they are being read."""

import shutil

import pytest

import inpaint
from inpaint import ModelError
from inpaint.models import loading
from inpaint.models.diffusers_folder import Folder
from inpaint.models.single_file import SingleFile
from tests.robustness.test_faults import CONFIG, LDM, everyday

PARTS = ("unet", "unet_inpainting", "vae", "text_encoder", "tokenizer", "scheduler")


@pytest.fixture
def folder(both_unets, tmp_path):
    return shutil.copytree(both_unets, tmp_path / "tiny")


def one_sentence(error) -> bool:
    """What is wrong and what to do, on one line, without a library's words."""
    text = str(error.value)
    return bool(error.value.advice) and "\n" not in text and "Errno" not in text and "Error" not in text


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("weights_only", [False, True])
def test_a_part_that_vanishes_between_listing_and_loading(folder, monkeypatch, part, weights_only):
    def listed(*args, real=loading.source, **kwargs):
        found = real(*args, **kwargs)
        for file in (folder / part).glob("*.safetensors" if weights_only else "*"):
            file.unlink()
        return found

    monkeypatch.setattr(loading, "source", listed)
    if weights_only and part in ("tokenizer", "scheduler", "unet"):  # they have none; the other UNet comes first
        assert inpaint.load(str(folder)).model.methods == ("base", "inpaint")
        return
    with pytest.raises(ModelError) as error:
        inpaint.load(str(folder))
    assert one_sentence(error), str(error.value)


@pytest.mark.parametrize("kind", ["folder", "file"])
@pytest.mark.parametrize("after", ["schedule", "vae", "tokenizer", "parameters"])  # the text encoder is read last
def test_a_model_that_vanishes_while_it_is_being_read(folder, tmp_path, monkeypatch, kind, after):
    """Everything goes right after one part has been read; in a single file that is all there is."""
    place = folder if kind == "folder" else shutil.copy(LDM, tmp_path / "one.safetensors")
    cls = Folder if kind == "folder" else SingleFile
    real, gone = getattr(cls, after), []

    def read(self, *args):
        found = real(self, *args)
        if not gone:
            gone.append(shutil.rmtree(place) if kind == "folder" else place.unlink())
        return found

    monkeypatch.setattr(cls, after, read)
    with pytest.raises(ModelError) as error:
        inpaint.load(str(place), config=None if kind == "folder" else CONFIG)
    assert one_sentence(error) and len(gone) == 1, str(error.value)


def test_the_old_model_comes_back_where_the_new_one_vanishes(folder, monkeypatch):
    from page.jobs.current_model import CurrentModel

    current, real = CurrentModel(), Folder.vae
    current.load(str(LDM), config=CONFIG)
    monkeypatch.setattr(Folder, "vae", lambda self, dtype: (real(self, dtype), shutil.rmtree(folder))[0])
    with pytest.raises(ModelError):
        current.load(str(folder))
    assert current.name == str(LDM) and current.painter.model.name == str(LDM)


def test_a_part_that_vanishes_before_it_is_first_needed(folder):
    """The UNet of the other method is read when it is asked for; the one at work goes on."""
    from dataclasses import replace

    painter, asked = inpaint.load(str(folder)), replace(everyday(), method="inpaint")
    before = painter(asked).image.tobytes()
    shutil.rmtree(folder / "unet")
    with pytest.raises(ModelError) as error:
        painter(replace(asked, method="base"))
    assert one_sentence(error)
    shutil.rmtree(folder)
    assert painter(asked).image.tobytes() == before  # all it needs is in memory
    with pytest.raises(ModelError):
        painter.model.set_loras([str(folder / "lora.safetensors")])
    assert painter(asked).image.tobytes() == before
