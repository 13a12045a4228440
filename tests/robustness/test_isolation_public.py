"""Check what a public page keeps private and never runs as a program: models, paths, places, HTML."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from inpaint import InvalidRequest, Request
from tests import gradio_aside
from tests.robustness.hostile.visitor import PREFIX, Visitor, hosted, named, painted, png

pytestmark = gradio_aside.warnings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """(address, Page) of a public page."""
    from page.limits import Limits

    limits = Limits.from_environment({"INPAINT_PUBLIC": "1"})
    with hosted(tmp_path_factory.mktemp("public") / "files", limits) as (address, page):
        yield address, page


def test_a_public_page_reveals_no_local_models(place, monkeypatch):
    from page.jobs.current_model import current_model

    address, _ = place
    visitor, taken, sentences = Visitor(address), [], set()
    monkeypatch.setattr(current_model, "switch_to", taken.append)
    path = visitor.upload(png())
    visitor.open(png())
    for model in (
        "/etc/hostname",
        "/nowhere",
        str(ROOT / "assets" / "model"),
        "../model",
        "owner/name",
        "~",
        "\0",
        "http://127.0.0.1/x",
        "x" * 5000,
        "Builtin",
    ):
        sentences.add(visitor.api(named(path), named(path), model=model)["error"])
        sentences.add(visitor.run(painted(), model=model)[-1]["say"])
    assert len(sentences) == 1 and "switched off" in sentences.pop()  # the same for what is there and what is not
    assert not taken


@pytest.mark.parametrize("environment", [{"INPAINT_PUBLIC": "1"}, {"SPACE_ID": "owner/space"}])
def test_what_makes_a_page_public(environment):
    from page.layout import Page
    from page.limits import PUBLIC, Limits

    limits = Limits.from_environment(environment)
    assert limits.public and all(getattr(limits, name) == value for name, value in PUBLIC.items())
    assert all(value < getattr(Limits(), name) for name, value in PUBLIC.items() if name != "models")
    page, local = Page(limits, "toy"), Page(Limits.from_environment({"INPAINT_PUBLIC": "0"}), "builtin")
    for name in ("/etc/hostname", "sd15"):  # a stranger may not make it load gigabytes
        with pytest.raises(InvalidRequest):
            page.model_named(name, "en")
    local.model_named("sd15", "en")
    assert page.models == ["toy", "builtin"] and "sd15" in local.models
    told = Page(Limits.from_environment({**environment, "INPAINT_MODELS": "sd15, owner/model"}), "toy")
    assert told.models == ["toy", "builtin", "sd15", "owner/model"]


def located() -> bytes:
    """A JPEG that tells where it was taken."""
    image, file, exif = Image.effect_noise((96, 64), 40).convert("RGB"), BytesIO(), Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 29.0)}
    exif[0x010F] = "a camera"
    image.save(file, "JPEG", exif=exif)
    return file.getvalue()


def gps(data: bytes) -> dict:
    with Image.open(BytesIO(data)) as image:
        return dict(image.getexif().get_ifd(0x8825))


@pytest.mark.parametrize("public", [True, False])
def test_a_public_result_does_not_reveal_where_it_was_taken(public, tmp_path):
    """Through the API; a page of one's own keeps it if asked."""
    from page.api import Api
    from page.layout import Page
    from page.limits import Limits
    from tests.fakes import result_of

    page = Page(Limits(public=public), "toy")
    (tmp_path / "a.jpg").write_bytes(located())
    (tmp_path / "m.png").write_bytes(png())
    request, _, _ = Api(page).request(str(tmp_path / "a.jpg"), str(tmp_path / "m.png"), "", '{"keep_gps": true}', "")
    assert bool(gps(result_of(request).to_bytes("PNG"))) is not public


@pytest.mark.parametrize("public", [True, False])
def test_a_public_result_always_says_that_ai_made_it(public, tmp_path):
    from page.api import Api
    from page.layout import Page
    from page.limits import Limits
    from tests.fakes import result_of

    (tmp_path / "a.png").write_bytes(png())
    files, page = [str(tmp_path / "a.png")] * 2, Page(Limits(public=public), "toy")
    request, _, _ = Api(page).request(*files, "a cat", '{"mark_ai": false}', "")
    assert (b"WithTrainedAlgorithmicMedia" in result_of(request).to_bytes("PNG")) is public


def test_nor_does_one_from_the_page(place):
    visitor = Visitor(place[0])
    assert visitor.open(located(), "a.jpg")["kind"] == "picture"
    assert visitor.run(painted(), **{"option-keep_gps": True})[-1]["kind"] == "result"
    for format in ("png", "jpg", "webp"):
        assert not gps(visitor.file(visitor.act("save", format=format)["path"]).content), format


def test_another_websites_scripts_get_no_answer(place):
    visitor = Visitor(place[0])
    for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example"):
        answer = visitor.client.post(f"{PREFIX}/queue/join", json={}, headers={"origin": origin})
        assert answer.headers.get("access-control-allow-origin") not in (origin, "*")


def test_the_page_reveals_no_paths(place):
    visitor = Visitor(place[0])
    for path in ("/", "/config", f"{PREFIX}/info", f"{PREFIX}/startup-events", "/openapi.json", "/theme.css"):
        text = visitor.client.get(path).text
        assert str(ROOT) not in text and str(Path.home()) + "/" not in text, path


def test_an_unexpected_error_reveals_only_its_kind(place, monkeypatch):
    from page.paint import examples

    def broken(name):
        raise FileNotFoundError(f"[Errno 2] No such file: {ROOT}/secret")

    monkeypatch.setattr(examples, "read", broken)
    told = Visitor(place[0]).trigger("example", {"name": "wren"})
    assert "FileNotFoundError" in told["error"] and str(ROOT) not in str(told)


SCRIPTS = sorted((ROOT / "assets" / "page").glob("*.js"))
UNSAFE = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|DOMParser"
    r"|createContextualFragment|javascript:|\bhtml:"
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_make_html_of_icons_alone(script):
    """What a server or a file says goes into the page as text: `icon("name")` is the only HTML there is."""
    for line in script.read_text().splitlines():
        for found in UNSAFE.finditer(line):
            rest = line[found.end() :]
            icons = re.match(r"\s*=?\s*(iconName \? )?icon\((\"\w+\"|iconName)\)", rest)
            door = script.stem == "dom" and line.strip() == 'else if (name === "html") node.innerHTML = value;'
            assert icons or door, (script.name, line)


def test_html_of_ours_is_escaped(monkeypatch):
    from page import how_it_works
    from page.paint import editor

    evil = "<img src=x onerror=alert(1)>'\""
    monkeypatch.setattr(how_it_works, "lines", lambda: [*how_it_works.SOURCE.read_text().splitlines(), evil])
    assert "<img" not in how_it_works.source() and "&lt;img src=x" in how_it_works.source()
    monkeypatch.setattr(how_it_works, "say", lambda *_, **__: evil)
    assert "<img" not in how_it_works.nothing("en")
    image = Image.new("RGB", (8, 8))
    scene = SimpleNamespace(request=Request(), picture=image, hole=image)
    scene.latent_hole, scene.look = lambda: image, lambda x: image
    step = SimpleNamespace(t=1, index=0, total=1, scene=scene, x=[1], pred_x0=[1], seen=[1])
    shown = how_it_works.Learn(None).figures([step], 0, "en")
    assert "onerror=alert(1)>" not in shown and shown.count("<img") == shown.count("src='data:image/") == 6
    template = editor.editor([], {}).html_template  # Gradio fills ${value} in as HTML: nothing of ours goes there
    assert "${" not in template and "{{" not in template
