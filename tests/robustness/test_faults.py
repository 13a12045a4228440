"""Inject faults in memory, numbers and timing: each ends in a right result or one sentence."""

import random
import subprocess
import sys
import weakref
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import inpaint
from inpaint import ModelError, OutOfMemory, Request
from inpaint.inpainter import Inpainter
from inpaint.models.toy import Model as Toy
from tests.conftest import GOLDEN

ROOT = Path(__file__).parents[2]
LDM, CONFIG = str(GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors"), str(GOLDEN / "model_diffusers")
STAGES = ("text", "encode", "unet", "decode")
FULL = {
    "torch": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    "python": MemoryError(),
    "cpu": RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
}


def tiny(dtype: str = "float32"):
    """A painter with real networks, of 0.6 million weights."""
    return inpaint.load(LDM, config=CONFIG, dtype=dtype)


def everyday() -> Request:
    """A request that does the same work every time."""
    y, x = np.mgrid[0:72, 0:96]
    waves = np.stack([np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)], -1) * 90 + 128
    photo, mask = Image.fromarray(waves.clip(0, 255).astype(np.uint8)), Image.new("L", (96, 72))
    ImageDraw.Draw(mask).ellipse((20, 15, 70, 55), fill=255)
    return Request("a cat", photo, mask, seed=3, steps=4, size=64, method="base", width=64, height=64)


@pytest.fixture(scope="module")
def asked():
    return everyday()


@pytest.fixture(scope="module")
def plain(asked):
    """The result without any fault."""
    return tiny()(asked).image


class Fault:
    """Of the calls of a stage's network, `times` do `what(output)` after the first `when`; `mend` ends it."""

    def __init__(self, model, stage: str, what, when: int = 0, times: float = float("inf")):
        model.unet("base")  # so that it is there
        where = {
            "text": (model.text.encoder, "forward"),
            "encode": (model.vae, "encode"),
            "unet": (model.unets["base"].conv_out, "forward"),
            "decode": (model.vae, "decode"),
        }
        (self.owner, self.name), self.calls = where[stage], 0
        real = getattr(self.owner, self.name)

        def broken(*args, **kwargs):
            self.calls += 1
            out = real(*args, **kwargs)
            return what(out) if when < self.calls <= when + times else out

        setattr(self.owner, self.name, broken)

    def mend(self):
        delattr(self.owner, self.name)  # the class's own comes back


def thrower(error: BaseException):
    def throw(*_, **__):
        raise error

    return throw


def apart(a: Image.Image, b: Image.Image) -> int:
    """The largest difference of two pictures, in levels."""
    return int(np.abs(np.asarray(a).astype(int) - np.asarray(b).astype(int)).max())


@pytest.mark.parametrize(
    ("stage", "error"), [*((stage, "torch") for stage in STAGES), ("text", "python"), ("encode", "cpu")]
)
def test_memory_that_runs_out_once_costs_one_note(asked, plain, stage, error):
    painter = tiny()
    fault = Fault(painter.model, stage, thrower(FULL[error]), when=2 if stage == "unet" else 0, times=1)
    result = painter(asked)
    notes = [note for note in result.report["notes"] if note.startswith("Memory ran out")]
    assert len(notes) == 1 and fault.calls > 1
    assert apart(result.image, plain) <= 1 and result.report["max_change_outside"] == 0
    assert painter(asked).report["notes"] == []


@pytest.mark.parametrize("stage", [*STAGES, "article"])
def test_memory_that_never_suffices_is_one_sentence_and_the_session_goes_on(asked, plain, stage):
    painter = tiny()
    fault = Fault(
        painter.model,
        "decode" if stage == "article" else stage,
        thrower(FULL["torch"]),
        when=2 if stage == "unet" else 0,
    )
    with pytest.raises(OutOfMemory) as error:
        painter(replace(asked, article=stage == "article"))
    assert "\n" not in str(error.value) and "smaller" in error.value.advice and "CUDA" not in str(error.value)
    fault.mend()
    assert apart(painter(asked).image, plain) <= 1


def test_memory_for_pixels_is_reported_too(asked, monkeypatch):
    """Preparing and reporting cannot be made leaner, but say the same; also where a run goes on from a step."""
    painter = Inpainter(Toy())
    first, *_ = painter.stream(asked)
    runs = (lambda: painter(asked), lambda: list(painter.resume(first, asked))[-1])
    for place in ("inpaint.pipeline.job.mask.prepare", "inpaint.pipeline.job.seam.max_change_outside"):
        for run in runs:
            with monkeypatch.context() as patch, pytest.raises(OutOfMemory, match="smaller"):
                patch.setattr(place, thrower(MemoryError()))
                run()
    assert [run().report["max_change_outside"] for run in runs] == [0, 0]


@pytest.mark.parametrize("stage", STAGES)
def test_what_did_not_fit_is_let_go_before_the_next_try(asked, stage):
    """The failed attempt's frames hold its tensors; with them in memory the frugal way would not fit either."""
    painter, held, alive = tiny(), [], []

    def fail(out):
        big = torch.zeros(10)
        held.append(weakref.ref(big))
        raise torch.OutOfMemoryError

    Fault(painter.model, stage, fail, times=1)
    free = painter.model.free_some_memory
    painter.model.free_some_memory = lambda network: alive.append(held[0]() is not None) or free(network)
    painter(asked)
    assert alive == [False]


def nan(out):
    """The same answer without one valid number."""
    if isinstance(out, torch.Tensor):
        return out * float("nan")
    for name in ("sample", "last_hidden_state"):
        if getattr(out, name, None) is not None:
            out[name] = out[name] * float("nan")
    if hasattr(out, "latent_dist"):
        mean = out.latent_dist.mean * float("inf")
        out.latent_dist.mode, out.latent_dist.mean = lambda: mean, mean
    return out


@pytest.mark.parametrize("article", [False, True])
@pytest.mark.parametrize("stage", STAGES)
def test_no_numbers_are_a_sentence_and_never_a_picture(asked, plain, stage, article, tmp_path):
    painter, out = tiny(), tmp_path / "out.png"
    fault = Fault(painter.model, stage, nan, when=1 if stage == "unet" else 0)
    with pytest.raises(ModelError, match="invalid numbers") as error:
        for event in painter.stream(replace(asked, article=article)):
            if isinstance(event, inpaint.Result):
                event.save(out)
            elif not article:
                event.preview(64)  # a look at a step without numbers breaks nothing
    assert not out.exists() and "dtype float32" not in error.value.advice  # it is float32
    assert ("UNet" in error.value.problem) is (stage in ("text", "unet") and not article)
    fault.mend()
    painter.model.text.forget()
    assert apart(painter(asked).image, plain) == 0


@pytest.mark.parametrize("stage", ["encode", "decode"])
def test_a_vae_that_overflows_in_half_precision_is_tried_in_full(asked, stage, tmp_path):
    painter = tiny("bfloat16")
    Fault(painter.model, stage, nan)  # the network read anew is whole
    result = painter(asked)
    assert any("now runs in float32" in note for note in result.report["notes"])
    inside = np.asarray(Image.open(result.save(tmp_path / "out.png")))[30:40, 40:50]
    assert inside.std() > 0
    fault = Fault(painter.model, "unet", nan)
    again = painter(asked)  # so is the UNet
    assert fault.calls and any("UNet" in note and "float32" in note for note in again.report["notes"])


def test_fifty_cancels_leave_nothing_behind(asked):
    """Most close the stream, some are a Ctrl-C inside a network; the next run is that of a fresh process."""
    code = (
        "import tests.robustness.test_faults as t; asked = t.everyday()\n"
        "print(t.digest(t.tiny()(asked)), t.digest(t.Inpainter(t.Toy())(asked)))"
    )
    fresh = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    dice, painters = random.Random(5), (tiny(), Inpainter(Toy()))
    for k in range(50):
        painter = painters[k % 2]
        request = replace(
            asked,
            seed=dice.randrange(9),
            count=dice.choice((1, 2)),
            prompt=dice.choice("ab"),
            sampler=dice.choice(("ddim", "dpm++ 2m")),
            size=dice.choice((64, 128)),
        )
        if k % 4 == 0:  # the toy has no networks to be stopped in
            fault = Fault(painter.model, dice.choice(STAGES), thrower(KeyboardInterrupt()), dice.randrange(2), 1)
            with suppress(KeyboardInterrupt):
                painter(request)
            fault.mend()
            continue
        stream = painter.stream(request)
        for _ in range(dice.randrange(5)):
            next(stream)
        stream.close()
    assert [digest(painter(asked)) for painter in painters] == fresh.split()


def digest(result) -> str:
    return blake2b(result.image.tobytes(), digest_size=8).hexdigest()
