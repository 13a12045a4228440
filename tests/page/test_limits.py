"""Check the limits for visitors, in every way that a request can come."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import pytest
from PIL import Image, ImageDraw

from inpaint import InvalidRequest, Request, UnreadablePicture
from page.jobs.work import most_steps_of, steps_of
from page.limits import PUBLIC, Limits
from tests import gradio_aside

pytestmark = gradio_aside.warnings


def dotted(size=(2000, 200), places=6) -> Image.Image:
    mask = Image.new("L", size)
    for n in range(places):
        ImageDraw.Draw(mask).ellipse((330 * n + 10, 80, 330 * n + 40, 110), fill=255)
    return mask


def test_limits_come_from_the_environment():
    home = Limits.from_environment({})
    assert not home.public and home.steps == 150
    space = Limits.from_environment({"SPACE_ID": "someone/something", "INPAINT_MAX_STEPS": "33"})
    assert space.public and space.steps == 33 and space.megapixels == 12
    space.check({"steps": 33, "count": 2, "size": 512})
    for name, value in (("steps", 34), ("count", 3), ("size", 2048)):
        with pytest.raises(InvalidRequest, match=str(value)):
            space.check({name: value})


@pytest.mark.parametrize(
    ("environment", "exposed", "public"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"INPAINT_PUBLIC": "0"}, True, False),
        ({"INPAINT_PUBLIC": "1"}, False, True),
        ({"INPAINT_PUBLIC": "yes"}, False, False),
        ({"SPACE_ID": "a/b"}, False, True),
        ({"SPACE_ID": "a/b", "INPAINT_PUBLIC": "0"}, True, False),
    ],
)
def test_what_makes_a_page_public(environment, exposed, public):
    assert Limits.from_environment(environment, exposed=exposed).public is public


def test_named_models_are_offered_beside_the_built_in_one():
    for environment in ({"INPAINT_PUBLIC": "1"}, {}):
        named = Limits.from_environment({**environment, "INPAINT_MODELS": "sd15, owner/model,builtin"})
        assert named.models == ("builtin", "sd15", "owner/model")


def test_paths_of_this_machine_are_no_models_over_http(tmp_path, monkeypatch):
    """Whether something is there or not, the answer is the same."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "model").mkdir(parents=True)
    own, told = Limits(), set()
    for name in (
        "/etc",
        "/etc/shadow",
        "/nowhere",
        "~",
        "~nobody",
        "owner/model",
        "./owner/model",
        "..",
        "C:\\x",
        "x.ckpt",
    ):
        with pytest.raises(InvalidRequest) as refused:
            own.check_model(name, own.models)
        told.add(str(refused.value))
    assert len(told) == 1 and "command line" in told.pop()
    for name in ("sd15", "owner/another", "/home/me/mine"):
        own.check_model(name, [*own.models, "/home/me/mine"])  # the last one is the command line's
    with pytest.raises(InvalidRequest):
        Limits(public=True).check_model("owner/another", own.models)


def test_an_expanded_picture_counts_as_large_as_it_becomes():
    limits = Limits(megapixels=1)
    request = Request(picture=Image.new("RGB", (500, 500)), mask=dotted((500, 500), 1), expand="400,400,400,400")
    with pytest.raises(UnreadablePicture, match="megapixels"):
        limits.check_jobs([request])
    limits.check_jobs([replace(request, expand="10,10,10,10")])


def test_work_is_steps_times_variations_times_close_ups_times_methods():
    picture = Image.new("RGB", (2000, 200))
    request = Request(picture=picture, mask=dotted(), steps=10, count=2, islands=True, detail="off")
    assert steps_of(request) == 10 * 2 * 6 <= most_steps_of(request)
    assert steps_of(replace(request, islands=False)) == steps_of(replace(request, whole=True)) == 10 * 2
    assert steps_of(Request("a cat", islands=True, steps=10)) == 10
    Limits(work=120).check_jobs([request])
    with pytest.raises(InvalidRequest, match="240 steps"):
        Limits(work=239).check_jobs([request, request])
    with pytest.raises(InvalidRequest, match="120 steps"):
        Limits(work=119).check_jobs([request])


def test_a_close_up_is_counted_at_least_as_often_as_it_is_painted():
    """Through the model itself, with an expanded canvas too."""
    import inpaint

    painter = inpaint.load("toy")
    for expand, islands in product(("", "40,0,0,0"), (True, False)):
        picture = Image.new("RGB", (2000, 200))
        request = Request(picture=picture, mask=dotted(), steps=3, size=256, islands=islands, expand=expand)
        *steps, _ = painter.stream(replace(request, seed=1))
        assert len(steps) <= steps_of(request) <= most_steps_of(request)
        assert islands or len(steps) > 3  # tiles


def test_every_public_limit_is_below_ones_own():
    limits = Limits.from_environment({"INPAINT_PUBLIC": "1"})
    assert limits.public and all(getattr(limits, name) == value for name, value in PUBLIC.items())
    assert all(value < getattr(Limits(), name) for name, value in PUBLIC.items() if name != "models")
    assert (limits.metadata, Limits().metadata) == ("settings", "full")


def test_a_public_result_does_not_hold_what_was_removed_unless_asked(tmp_path, monkeypatch):
    """On the paint tab, in the batch and through the API: the pixels under the mask are not in the file."""
    from page.paint.results import Results
    from page.session import Session
    from tests.fakes import result_of

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    secret = Image.new("RGB", (64, 64), (1, 2, 3))
    result = result_of(Request(picture=secret, mask=Image.new("L", (64, 64), 255)))
    for public, asked, kept in ((True, {}, False), (True, {"metadata": "full"}, True), (False, {}, True)):
        from page.layout import Page

        page, session = Page(Limits(public=public), "toy"), Session()
        ((chosen,), _) = session.add([result], 64)
        message = Results(page).save(session, {"id": chosen.id, "format": "png", **asked})
        restored = Request.from_image(message["path"]).picture.rgb.tobytes()
        assert (restored == secret.tobytes()) is kept, (public, asked)


def test_check_file_leaves_what_is_no_picture_to_others():
    from tests.robustness.hostile.visitor import png

    for data in (b"", b"nothing", png()[:20]):
        Limits(megapixels=1).check_file(data)
    with pytest.raises(UnreadablePicture, match="megapixels"):
        Limits(megapixels=1).check_file(png((2000, 1000)))


def test_the_paint_tab_asks_the_same_limits():
    """As the batch and the API do: expand is a free text on the page."""
    from page.layout import Page
    from page.paint.running import Running
    from tests.page.jobs.test_job_queue import alone

    page = Page(Limits(public=True, megapixels=1), "toy")
    session = page.sessions.of(SimpleNamespace(session_hash="one"))
    from inpaint import Picture

    session.put(Picture.open(Image.new("RGB", (500, 500))), megabytes=10)
    page.build()
    values = [{"expand": "4096,4096,4096,4096"}.get(name, c.value) for name, c in page.controls.by_name.items()]

    async def run():
        ask = SimpleNamespace(session_hash="one", headers={})
        return [m async for m, _ in Running(page).run(ask, "{}", "expand", "toy", False, *values) if "say" in m]

    assert "megapixels" in alone(run())[-1]["say"] and page.queue.idle


def test_the_pages_own_model_is_called_by_its_name_alone(tmp_path):
    """Strangers see it in the menu, while it loads, and in every result."""
    import json

    from inpaint.paths import without_folders
    from page.layout import Page

    own = tmp_path / "secret" / "mine.safetensors"
    page = Page(Limits(public=True), str(own))
    assert page.models[0] == "mine.safetensors" and str(tmp_path) not in json.dumps(page.build().config, default=str)
    assert page.model_named("mine.safetensors", "en") == str(own) and page.model_named("sd15", "en") == "sd15"
    with pytest.raises(InvalidRequest):
        page.model_named(str(own), "en")
    assert without_folders("owner/model") == "owner/model" and without_folders("x\0y") == "x\0y"
