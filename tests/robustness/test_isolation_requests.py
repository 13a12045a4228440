"""Check requests that reach for other machines, bring too much, or come too often."""

from __future__ import annotations

import json
import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from PIL import Image

from tests import gradio_aside
from tests.robustness.hostile.visitor import PREFIX, Visitor, hosted, named, painted, png

pytestmark = gradio_aside.warnings

SMALL = {"megapixels": 1, "megabytes": 1, "steps": 20, "count": 1, "queue": 3, "batch": 2, "size": 768}
ADDRESSES = (
    "http://169.254.169.254/latest/meta-data/a.png",
    "http://127.0.0.1:9/a.png",
    "http://localhost/a.png",
    "http://[::1]/a.png",
    "http://0x7f000001/a.png",
    "http://example.com/a.png",
    "file:///etc/hostname",
    "ftp://example.com/a.png",
    "gopher://127.0.0.1:9/x",
    "HTTP://EXAMPLE.COM/a.png",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """(address, Page) of a public page with small limits."""
    from page.limits import Limits

    limits = Limits(public=True, **SMALL, sessions=2, disk_megabytes=6)
    with hosted(tmp_path_factory.mktemp("requests") / "files", limits) as (address, page):
        yield address, page


@pytest.fixture
def fetched(monkeypatch):
    """Every address that the server would have fetched, or looked up to fetch."""
    import safehttpx
    from gradio import processing_utils

    asked = []

    async def ask(address, *_, **__):
        asked.append(address)
        raise OSError("no network")

    monkeypatch.setattr(processing_utils, "async_ssrf_protected_download", ask)
    monkeypatch.setattr(processing_utils, "async_ssrf_protected_get", ask)
    monkeypatch.setattr(safehttpx, "async_validate_url", ask)
    return asked


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_address_is_fetched(place, fetched, address):
    visitor = Visitor(place[0])
    ours = visitor.upload(png())
    for data in ((named(address), None), (named(ours), named(address)), (named(address, url=address), None)):
        assert "cannot be read" in visitor.api(*data)["error"]
    assert "files" in visitor.api(named(ours, url=address), named(ours, url=address))  # what is there is taken
    for where in (f"{PREFIX}/file={address}", f"{PREFIX}/file/{address}", f"{PREFIX}/proxy={address}"):
        assert visitor.get(where.replace("[", "%5B").replace("]", "%5D")).status_code in (403, 404), where
    message = visitor.trigger("open", {"path": address, "name": "a.png"})
    assert "src" not in message and not fetched


@pytest.mark.parametrize(
    "path",
    [
        f"{PREFIX}/process_recording",
        f"{PREFIX}/component_server",
        f"{PREFIX}/vibe-edit",
        f"{PREFIX}/run-history/connect",
        f"{PREFIX}/stream/x",
        "/monitoring",
        "/monitoring/summary",
        f"{PREFIX}/deep_link?session_hash=x",
        f"{PREFIX}/dev/reload",
    ],
)
def test_what_the_page_does_not_need_is_closed(place, path):
    visitor = Visitor(place[0])
    for method in ("GET", "POST"):
        with visitor.client.stream(method, path) as answer:
            assert answer.status_code == 404 and answer.read() == b'{"detail":"There is nothing here."}'


def test_a_line_cannot_be_walked_past(place):
    answer = Visitor(place[0]).client.post(f"{PREFIX}/run/inpaint", json={"data": [None, None, "", "{}", ""]})
    assert answer.status_code == 404


def test_an_endless_body_is_cut_off(place):
    visitor = Visitor(place[0])
    part, headers = b"x" * 2**20, {"content-type": "application/json"}
    for path in (f"{PREFIX}/queue/join", f"{PREFIX}/call/inpaint", f"{PREFIX}/run/predict"):
        answer = visitor.client.post(path, content=part * 17, headers=headers)
        assert answer.status_code == 413 and "at most 16 MB" in answer.text
        answer = visitor.client.post(path, content=(part for _ in range(17)), headers=headers)  # no length announced
        assert answer.status_code == 413 and "at most 16 MB" in answer.text


def test_uploads_are_limited_one_by_one_and_together(place, monkeypatch):
    visitor = Visitor(place[0])
    post, part = visitor.client.post, b"x" * 2**20
    assert post(f"{PREFIX}/upload", files={"files": ("a.png", part + b"x")}).status_code == 413
    many = [("files", (f"{n}.png", part[:-1000])) for n in range(3)]
    assert post(f"{PREFIX}/upload", files=many).status_code == 413
    for n in range(12):
        answer = post(f"{PREFIX}/upload", files={"files": ("a.png", bytes([n]) + part[2:])})
        if answer.status_code != 200:
            break
    assert answer.status_code == 507 and "no room" in answer.text and n < 8
    from page import storage

    monkeypatch.setattr(storage, "megabytes_in", lambda folder: 0)  # somebody has tidied up
    monkeypatch.setattr(storage, "MEASURED", 0)
    assert post(f"{PREFIX}/upload", files={"files": ("a.png", png())}).status_code == 200


@pytest.fixture
def roomy(monkeypatch):
    """The disk's limit, reached above, is another test's matter."""
    from page import storage

    monkeypatch.setattr(storage, "megabytes_in", lambda folder: 0)
    monkeypatch.setattr(storage, "MEASURED", 0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": 21}, "limit is 20"),
        ({"count": 2}, "limit is 1"),
        ({"size": 1024}, "limit is 768"),
        ({"width": 1024}, "limit is 768"),
        ({"height": 2000}, "limit is 768"),
        ({"steps": "99"}, "whole number"),
        ({"steps": 1e300}, "steps"),
        ({"steps": [99]}, "steps"),
        ({"expand": "0,0,0,4096", "mask": None}, "no option"),
        ({"expand": "4096,0,0,4096"}, "megapixels"),
    ],
)
def test_limits_hold(place, roomy, settings, words):
    visitor = Visitor(place[0])
    path = visitor.upload(png())
    assert words in visitor.api(named(path), named(path), json.dumps(settings))["error"]


def test_large_pictures_are_refused_before_they_are_decoded(place, roomy, monkeypatch):
    visitor = Visitor(place[0])
    large, small = visitor.upload(png((1200, 1000))), visitor.upload(png())
    decoded, load = [], Image.Image.load

    def watched(image):
        decoded.append(image.size)
        return load(image)

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", watched)
    for picture, mask in ((large, small), (small, large)):
        assert "megapixels" in visitor.api(named(picture), named(mask))["error"]
    assert "megapixels" in visitor.open(png((1200, 1000)))["say"]
    assert (1200, 1000) not in decoded


def test_a_flood_is_refused_and_all_others_are_served(place, roomy):
    address, _ = place
    visitor = Visitor(address)
    path, told = visitor.upload(png()), []

    def one():
        told.append(Visitor(address).api(named(path), named(path), '{"steps": 3}', prompt="slow"))

    threads = [threading.Thread(target=one) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    refused = [answer["error"] for answer in told if "error" in answer]
    assert len(told) == 9 and 1 <= len(refused) <= 5 and all("long queue" in sentence for sentence in refused)
    assert len([answer for answer in told if "files" in answer]) == 9 - len(refused)


def test_a_run_that_nobody_listens_to_is_never_begun(place, roomy, monkeypatch):
    from page.jobs import worker
    from page.server import listeners

    address, page = place
    for session in list(page.sessions.all):
        page.sessions.forget(session)
    begun, real = [], worker.paint
    monkeypatch.setattr(listeners, "PATIENCE", 0.3)
    monkeypatch.setattr(worker, "paint", lambda *asked: begun.append(asked[1][0].prompt) or real(*asked))
    deaf, other = Visitor(address), Visitor(address)
    for each in (deaf, other):
        assert each.open(png())["kind"] == "picture"
    silence = SimpleNamespace(iter_lines=list)
    monkeypatch.setattr(deaf.client, "stream", lambda *_: nullcontext(silence))
    deaf.run(painted(), prompt="never heard")
    assert other.run(painted(), prompt="heard")[-1]["kind"] == "result"
    threading.Event().wait(0.5)
    assert begun == ["heard"] and page.queue.idle


def test_nobody_fills_the_line_alone(tmp_path):
    """Sessions are made up in no time; what counts is from where they ask, as the proxy in front tells it."""

    def from_address(address: str, behind: str) -> Visitor:
        visitor = Visitor(address)
        visitor.client.headers["x-forwarded-for"] = f"made up, {behind}"
        return visitor

    from page.limits import Limits

    told = {"1.1.1.1": [], "2.2.2.2": []}
    with hosted(tmp_path / "files", Limits(queue=20, waiting=2)) as (address, _):
        path = Visitor(address).upload(png())

        def one(behind):
            visitor = from_address(address, behind)
            told[behind].append(visitor.api(named(path), named(path), '{"steps": 3}', prompt="slow"))

        threads = [threading.Thread(target=one, args=(behind,)) for behind in ["1.1.1.1"] * 8 + ["2.2.2.2"] * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    refused = [answer["error"] for answer in told["1.1.1.1"] if "error" in answer]
    assert len(told["1.1.1.1"]) == 8 and refused and all("long queue" in sentence for sentence in refused)
    assert len(told["2.2.2.2"]) == 2 and all("files" in answer for answer in told["2.2.2.2"])


def test_only_so_many_visitors_hold_pictures(place, roomy):
    address, page = place
    for session in list(page.sessions.all):
        page.sessions.forget(session)
    one, two, three = (Visitor(address) for _ in range(3))
    assert [each.open(png())["kind"] for each in (one, two)] == ["picture", "picture"]
    for message in (three.open(png()), three.trigger("example", {"name": "wren"})):
        assert "too many visitors" in message["say"]
    assert one.open(png())["kind"] == "picture" and one.run(painted())[-1]["kind"] == "result"
    page.sessions.forget(two.session)
    assert three.open(png())["kind"] == "picture"


def test_made_up_sessions_do_not_add_up():
    from page.session import Sessions

    sessions = Sessions(60, most=3)
    holder = sessions.of(SimpleNamespace(session_hash="holder"))
    holder.pictures = [1]
    for n in range(1000):
        sessions.of(SimpleNamespace(session_hash=f"made up {n}"))
    assert len(sessions.all) < 100 and sessions.of(SimpleNamespace(session_hash="holder")) is holder
