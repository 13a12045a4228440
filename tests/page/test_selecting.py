"""The page and its endpoint /select answer with the mask of the thing that is meant, or with one sentence."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from inpaint import InvalidRequest, Picture, UnreadablePicture
from inpaint.pixels.objects import Source, select
from page import images
from page.api import Api
from page.limits import Limits
from page.paint.selecting import Selecting
from page.session import Session
from page.storage import Storage
from tests.fakes import opened

WREN = Path(__file__).resolve().parents[2] / "assets/examples/wren.jpg"


@pytest.fixture
def visit():
    """visit(picture, **what) -> the answer to a visitor who has opened the picture; `visit.session` is theirs."""
    session = Session()
    selecting = Selecting(SimpleNamespace(sessions=SimpleNamespace(of=lambda request: session)))

    def visit(picture=None, **what):
        if picture is not None:
            session.put(Picture.open(picture), 500)
        event = gr.EventData(None, {"of": 1, "size": [1024, 576], **what})
        *told, answer = selecting.outline(event, SimpleNamespace(headers={}, session_hash="a"))
        visit.told += told
        return answer

    visit.session, visit.selecting, visit.told = session, selecting, []
    return visit


def placed(answer, size) -> np.ndarray:
    """The answer's part in a whole mask: uint8 [H, W]."""
    part = Image.open(io.BytesIO(base64.b64decode(answer["src"].split(",")[1])))
    mask = Image.new("L", size)
    mask.paste(part, answer["box"][:2])
    return np.asarray(mask)


def test_the_answer_is_the_librarys_mask(visit):
    answer = visit(WREN, line=[[403, 214]])
    mask = np.asarray(select(Source(opened(WREN).convert("RGB")), [(403, 214)]).whole())
    assert answer["kind"] == "thing" and answer["of"] == 1 and np.array_equal(placed(answer, (1024, 576)), mask)


def test_a_mask_of_another_size_covers_the_same_place(visit):
    answer = visit(WREN, line=[[403, 214]], size=[500, 281])
    small = Image.fromarray(placed(visit(line=[[403, 214]]), (1024, 576))).resize((500, 281), Image.Resampling.BOX)
    assert (np.abs(placed(answer, (500, 281)).astype(int) - (np.asarray(small) > 127) * 255) > 0).mean() < 0.002


def test_the_picture_is_prepared_once(visit):
    visit(WREN, line=[[403, 214]])
    first = visit.session.source
    visit(loop=[[352, 128], [490, 128], [490, 262], [352, 262]])
    assert visit.session.source is first
    visit(Image.new("RGB", (1024, 576), "grey"), line=[[403, 214]])
    assert visit.session.source is not first
    visit.session.close()
    assert visit.session.source is None


@pytest.mark.parametrize(
    "what", [{"size": None}, {"size": [0, 9]}, {"size": [10**6, 10**6]}, {"line": 3}, {"line": [[1]]}, {"grow": 1e9}]
)
def test_nonsense_gets_one_sentence(visit, what):
    answer = visit(WREN, **{"line": [[403, 214]], **what})
    assert answer["bad"] and answer["src"] is None and answer["say"].endswith(".") and not answer["forgotten"]


def test_a_visitor_who_was_forgotten_is_told_so(visit):
    answer = visit(line=[[403, 214]])
    assert answer["forgotten"] and "no picture" in answer["say"]


@pytest.fixture
def api():
    return Api(SimpleNamespace(limits=Limits(megapixels=1), storage=Storage(100)))


def test_the_endpoint_stores_the_mask(api):
    path = api.mask_of(str(WREN), {"line": [[403, 214]], "grow": 3})
    mask = select(Source(opened(WREN).convert("RGB")), [(403, 214)], grow=3).whole()
    assert np.array_equal(np.asarray(opened(path)), np.asarray(mask))
    assert opened(api.mask_of(str(WREN), '{"line": [[403, 214]]}')).size == (1024, 576)


@pytest.mark.parametrize("marks", [None, [], "x", {"line": [[1, 1]], "model": "a"}, {"grow": 3}])
def test_the_endpoint_refuses_other_marks(api, marks):
    with pytest.raises(InvalidRequest):
        api.mask_of(str(WREN), marks)


def test_the_endpoint_keeps_the_pages_limits(api, tmp_path):
    Image.new("RGB", (2000, 1000)).save(tmp_path / "large.png")
    with pytest.raises(UnreadablePicture, match="megapixels"):
        api.mask_of(str(tmp_path / "large.png"), {"line": [[1, 1]]})


def test_a_part_of_no_size_is_refused():
    with pytest.raises(InvalidRequest):
        images.shown_part(select(Source(opened(WREN).convert("RGB")), [(403, 214)]), (0, 5))


def test_a_model_is_loaded_when_first_needed_and_its_size_is_said_before(visit, tmp_path, monkeypatch):
    from inpaint.models import sam
    from inpaint.models.hub import Progress
    from inpaint.pixels.objects import found

    loads = []
    (tmp_path / sam.WEIGHTS).write_bytes(bytes(3 << 20))

    def find(name, progress):
        progress(Progress(name, 1 << 20, 3 << 20))
        return tmp_path

    monkeypatch.setattr(sam, "find", find)
    monkeypatch.setattr(sam, "load", lambda name: loads.append((name, len(visit.told))) or found)
    visit.selecting.__init__(visit.selecting.page, "someone/sam")
    answers = [visit(WREN, line=[[403, 214]]), visit(line=[[403, 214]])]
    assert answers[0]["src"] == answers[1]["src"] and len(loads) == 1
    told = [message["say"] for message in visit.told]
    assert "someone/sam" in told[-1] and "3 MB" in told[-1] and all("MB" in each for each in told)
    visit.selecting.__init__(visit.selecting.page, str(tmp_path / "nothing"))
    monkeypatch.undo()
    assert "Hub" in visit(line=[[403, 214]])["say"]
