"""Take every boolean and every choice of the request through Python, command line, HTTP and the page's worker."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import inpaint
from inpaint import Filled, Request, Result, Step
from inpaint.cli import main as cli
from inpaint.options import kind_of
from inpaint.request import options
from tests import gradio_aside

pytestmark = gradio_aside.warnings
COMMON = {"prompt": "a cat", "seed": 7, "steps": 2, "size": 64, "width": 64, "height": 64}


def cases() -> list[tuple[str, object]]:
    """Return (option, value) for both values of a boolean and all choices of a menu."""
    found: list[tuple[str, object]] = []
    for name, field in options().items():
        values = (True, False) if kind_of(field) is bool else field.metadata["choices"]
        found += [(name, value) for value in values]
    return found


@pytest.fixture(scope="module")
def painter(both_unets):
    return inpaint.load(str(both_unets))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A photo with a transparent square, and a mask over another part of it."""
    made = tmp_path_factory.mktemp("options")
    photo = Image.effect_noise((72, 64), 60).convert("RGB")
    photo.putalpha(255)
    photo.paste((0, 0, 0, 0), (40, 30, 60, 50))
    photo.save(made / "photo.png")
    mask = Image.new("L", photo.size)
    mask.paste(255, (10, 10, 34, 34))
    mask.paste(120, (34, 10, 40, 34))
    mask.save(made / "mask.png")
    return made


@pytest.fixture(scope="module")
def client(painter, tmp_path_factory):
    """A client of a page on the tiny model."""
    from gradio_client import Client

    from page.limits import Limits
    from tests.robustness.hostile.visitor import hosted

    with hosted(tmp_path_factory.mktemp("page"), Limits()) as (address, page):
        from page.jobs.current_model import current_model

        current_model.name, current_model.painter = page.model, painter
        made = Client(address, verbose=False, download_files=tmp_path_factory.mktemp("answers"))
        yield made
        made.close()


def from_python(painter, folder: Path, settings: dict) -> Result:
    *events, result = painter.stream(
        Request(picture=folder / "photo.png", mask=folder / "mask.png", **settings), fills=True
    )
    steps = [event for event in events if isinstance(event, Step)]
    assert isinstance(result, Result) and steps
    assert all(isinstance(event, Step | Filled) and max(event.preview(48).size) <= 48 for event in events)
    fills = Request(**settings, picture=folder / "photo.png").fill == "patch"
    assert all(isinstance(event, Filled) == (k < len(events) - len(steps)) for k, event in enumerate(events))
    assert fills == (len(events) > len(steps))
    assert [step.index for step in steps] == list(range(steps[0].total)) and {step.seed for step in steps} == {7}
    assert steps[-1].scene.look(steps[-1].seen[:1]).size == steps[-1].scene.latent_hole().size
    return result


def from_command_line(painter, folder: Path, settings: dict, to: Path, monkeypatch) -> Path:
    monkeypatch.setattr(cli, "_load", lambda *args: painter)
    words = [str(folder / "photo.png"), str(folder / "mask.png"), "-o", str(to / "out.png"), "--film"]
    words.append(str(to / "film.webp"))
    for name, value in settings.items():
        flag = name.replace("_", "-")
        words.append(f"--{flag}={value}" if not isinstance(value, bool) else f"--{'' if value else 'no-'}{flag}")
    assert cli.main(words) == 0
    with Image.open(to / "film.webp") as film:
        assert film.n_frames >= 2
    return to / "out.png"


def from_http(client, folder: Path, settings: dict) -> Path:
    from gradio_client import handle_file

    settings = {name: value for name, value in settings.items() if name != "prompt"}
    files = handle_file(folder / "photo.png"), handle_file(folder / "mask.png")
    *_, (answered, report) = client.submit(*files, "a cat", json.dumps(settings), api_name="/inpaint")
    assert json.loads(report)["state"] == "done", report
    (path,) = answered
    return Path(path)


def from_worker(painter, folder: Path, settings: dict) -> Result:
    from page.jobs import worker
    from page.jobs.current_model import current_model
    from page.jobs.events import Finished, Preview

    request = Request(picture=folder / "photo.png", mask=folder / "mask.png", **settings)
    events = list(worker.paint(current_model.name, worker.requests_for(request, request.method)))
    previews = [event for event in events if isinstance(event, Preview)]
    assert previews and previews[0].jpeg and Image.open(BytesIO(previews[0].jpeg)).format == "JPEG"
    (finished,) = (event for event in events if isinstance(event, Finished))
    return finished.result


@pytest.mark.parametrize(("name", "value"), cases(), ids=lambda part: str(part))
def test_every_value_gives_the_same_picture_through_every_entry(
    painter, client, folder, tmp_path, monkeypatch, name, value
):
    settings = COMMON | {name: value}
    ours = from_python(painter, folder, settings)
    repeated = Request.from_image(ours.to_bytes())
    assert getattr(repeated, name) == value
    shown = np.asarray(ours.image)
    for saved in (
        from_command_line(painter, folder, settings, tmp_path, monkeypatch),
        from_http(client, folder, settings),
    ):
        assert np.array_equal(np.asarray(Image.open(BytesIO(saved.read_bytes()))), shown)
        assert Request.from_image(saved).settings() == ours.request.settings()
    assert np.array_equal(np.asarray(from_worker(painter, folder, settings).image), shown)
    assert np.array_equal(np.asarray(painter(replace(repeated, mask=ours.request.mask)).image), shown)
