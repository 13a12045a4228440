"""Fixtures and settings for all tests: one thread, no network, the golden data."""

import importlib.util
import os
import shutil
import signal
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from PIL import Image

# .ci/run brings the package in a folder of its own, and runs this file by name.
collect_ignore = [] if importlib.util.find_spec("spaces") else ["page/jobs/test_on_zerogpu.py"]

HERE = Path(__file__).parent
DATA = HERE / "data"
GOLDEN = Path(os.environ.get("GOLDEN_DIR", DATA / "golden"))
SLOW = (  # what takes real models, browsers, processes or many cases: `-m "not slow"` leaves it out
    *("bench", "browser", "cli/test_stdio.py", "devices", "models", "page", "pipeline", "robustness", "training"),
    *("unet", "test_every_option.py", "test_examples.py", "test_inpainter.py", "test_package.py"),
)


def pytest_collection_modifyitems(items):
    """Mark as slow whatever is in the folders and files of SLOW."""
    for item in items:
        if any(item.path.is_relative_to(HERE / place) for place in SLOW):
            item.add_marker("slow")


def pytest_xdist_auto_num_workers(config) -> int:
    """Use two processes for all tests, and only this one if files are named."""
    return 2 if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


# Started in the background or by nohup, pytest is told to ignore these, and so would be every program it starts.
for name in ("SIGINT", "SIGHUP"):
    if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
        signal.signal(getattr(signal, name), signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory):
    """Keep temporary files of libraries, such as gradio's client, among the tests' own."""
    before, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("temporary"))
    yield
    tempfile.tempdir = before


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def photo(rng) -> Image.Image:
    """A smooth 96 × 72 picture with some noise on it."""
    y, x = np.mgrid[0:72, 0:96]
    waves = np.stack([np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)], -1) * 90 + 128
    return Image.fromarray((waves + rng.normal(0, 6, waves.shape)).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def both_unets(tmp_path_factory) -> Path:
    """A model of 0.6 million weights in diffusers' layout, with both UNets; copy it before changing it."""
    import torch
    from diffusers import UNet2DConditionModel

    from inpaint.models.single_file import SingleFile

    folder, configs = tmp_path_factory.mktemp("made") / "tiny", GOLDEN / "model_diffusers"
    parts = SingleFile(GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors", configs)
    for name in ("vae", "text_encoder"):
        getattr(parts, name)(torch.float32).save_pretrained(folder / name)
    parts.unet("base", torch.float32).save_pretrained(folder / "unet")
    nine = UNet2DConditionModel.from_config({**parts.unet_config(), "in_channels": 9})
    nine.save_pretrained(folder / "unet_inpainting")
    for name in ("tokenizer", "scheduler"):
        shutil.copytree(configs / name, folder / name)
    return folder
