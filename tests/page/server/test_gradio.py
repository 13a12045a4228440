"""Check what this page changes inside Gradio: each test fails when a new version does it differently."""

from __future__ import annotations

import ast
import inspect
import os
import time
from pathlib import Path

import pytest

from page.server import gradio_errors, gradio_startup, upload_cleanup
from page.server.file_input import file_input
from tests import gradio_aside
from tests.robustness.hostile.visitor import PREFIX, Visitor, hosted, named, png

pytestmark = gradio_aside.warnings


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    from page.limits import Limits

    folder = tmp_path_factory.mktemp("gradio") / "files"
    with hosted(folder, Limits()) as (address, page):
        yield address, page, folder


def called(method) -> set[str]:
    """The names of the methods of `self` that a method calls."""
    tree = ast.parse(inspect.cleandoc(inspect.getsource(method)))
    return {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "self"
    }


def test_errors_are_translated_where_gradio_reads_data_and_calls_handlers():
    import gradio as gr

    assert {"preprocess_data", "call_function"} <= called(gr.Blocks.process_api)


def test_a_handlers_error_is_a_sentence_without_paths(place, monkeypatch):
    from page.paint import examples

    monkeypatch.setattr(examples, "read", lambda name: Path("/secret/place").read_bytes())
    told = Visitor(place[0]).trigger("example", {"name": "wren"})
    assert "FileNotFoundError" in told["error"] and "secret" not in str(told)


def test_without_the_translation_errors_have_no_words_at_all():
    """The fallback: were these methods gone, Gradio would tell strangers nothing of an error."""
    import gradio as gr
    from gradio.utils import error_payload

    from page.layout import Page
    from page.limits import Limits
    from page.server.middleware import guards

    assert guards(Page(Limits(), "fake"))["show_error"] is False
    assert error_payload(FileNotFoundError("/secret/place"), False)["error"] is None
    assert error_payload(gr.Error("a sentence"), False)["error"] == "a sentence"

    class Other:
        """A later Blocks, without these methods."""

    gradio_errors.translate_errors(Other())


def test_the_import_is_trimmed_in_this_version():
    import gradio.component_meta
    import gradio.events
    from gradio.routes import App

    assert hasattr(gradio.component_meta, "create_or_modify_pyi") and hasattr(gradio.events.EventListener, "set_doc")
    assert "create_app" in vars(App)
    for module, trim in gradio_startup.TRIMS.items():
        assert module in ("gradio.component_meta", "gradio.events")
        trim(type("Empty", (), {}))  # nothing to trim: nothing happens


def test_uploads_are_known_by_name_in_this_version():
    from gradio import route_utils

    assert upload_cleanup.watch() and hasattr(route_utils.NamedTemporaryFile, "watched")


def test_without_names_old_pieces_are_removed_by_their_age(tmp_path, monkeypatch):
    from gradio import route_utils

    monkeypatch.delattr(route_utils, "NamedTemporaryFile")
    assert not upload_cleanup.watch()
    for name, age in (("tmpold", 10_000), ("tmpnew", 0)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    (tmp_path / "0123abcd").mkdir()
    (tmp_path / "0123abcd" / "whole.png").write_bytes(b"x")
    os.utime(tmp_path / "0123abcd" / "whole.png", (0, 0))
    upload_cleanup.remove_stale(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["0123abcd", "tmpnew", "whole.png"]


def test_no_empty_file_is_left_behind(place):
    """Gradio's own file component makes one for every file that a handler takes."""
    address, _, folder = place
    visitor = Visitor(address)
    assert visitor.api(named(visitor.upload(png())), named(visitor.upload(png((96, 64)))))["files"]
    assert not [file for file in folder.rglob("*") if file.is_file() and not file.stat().st_size]
    assert not [file for file in folder.iterdir() if file.is_file()]


def test_files_arrive_as_paths():
    from gradio.data_classes import FileData, ListFiles

    one, many = file_input(label="a"), file_input(label="b", file_count="multiple")
    assert one.preprocess(None) is None and one.preprocess(FileData(path="/a.png")) == "/a.png"
    files = ListFiles(root=[FileData(path="/a.png"), FileData(path="/b.png")])
    assert many.preprocess(files) == ["/a.png", "/b.png"]


ADDRESS = "http://169.254.169.254/a.png"
BODIES = {
    "plain": f'{{"data": [{{"path": "{ADDRESS}"}}]}}'.encode(),
    "escaped": b'{"data": [{"path": "http:\\u002f\\u002f169.254.169.254/a.png"}]}',
    "utf-16": f'{{"data": [{{"path": "{ADDRESS}"}}]}}'.encode("utf-16"),
    "deep": b'{"data": [[{"x": [{"path": "ftp://x/a"}]}]]}',
    "twice": f'{{"data": [{{"path": "/a.png", "path": "{ADDRESS}"}}]}}'.encode(),
}


@pytest.mark.parametrize("kind", BODIES)
def test_an_address_is_found_however_it_is_written(place, kind):
    """In front of Gradio, so that it does not depend on how Gradio reads data."""
    for path in ("call/inpaint", "call/v2/inpaint", "queue/join", "run/predict"):
        answer = Visitor(place[0]).client.post(
            f"{PREFIX}/{path}", content=BODIES[kind], headers={"content-type": "application/json"}
        )
        assert answer.status_code == 400 and "cannot be read" in answer.text, path


def test_words_with_addresses_in_them_are_let_through(place):
    visitor = Visitor(place[0])
    ours = named(visitor.upload(png()))
    assert visitor.api(ours, ours, prompt="a poster that says http://example.com and \\ too")["files"]


def test_nothing_in_the_page_is_a_socket(place):
    """Gradio uses none: one that it may come to use is closed."""
    from page.server.middleware import Hardening

    sent = []

    async def send(message):
        sent.append(message)

    door = Hardening(lambda *_: 1 / 0, place[1], None, False)
    from tests.page.jobs.test_job_queue import alone

    alone(door({"type": "websocket", "path": "/"}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_this_folder_alone_reaches_into_gradio():
    root = Path(gradio_startup.__file__).parents[1]
    inside = ("preprocess_data", "call_function", "NamedTemporaryFile", "create_or_modify_pyi", "set_doc")
    for path in root.rglob("*.py"):
        if path.parent.name != "server":
            assert not [name for name in inside if name in path.read_text()], path
