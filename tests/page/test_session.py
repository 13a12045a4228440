"""Check that visitors are kept apart, leave nothing behind, and are forgotten at the right time."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from inpaint import InvalidRequest, Picture
from page import session as module
from page.session import Session, Sessions, address_of
from tests import gradio_aside

pytestmark = gradio_aside.warnings


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves only by `clock.now += seconds`."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(module, "monotonic", lambda: clock.now)
    return clock


def visitor(name: str, address: str = "") -> SimpleNamespace:
    return SimpleNamespace(session_hash=name, client=SimpleNamespace(host=address))


def picture(size=(9, 9)) -> Picture:
    return Picture.open(Image.new("RGB", size))


def files_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("*") if file.is_file())


def test_sessions_are_apart_and_leave_nothing_behind(folder):
    sessions = Sessions(minutes=60)
    for n in range(5):
        sessions.of(visitor("one")).put(picture((100 + n, 10)), megabytes=10)
    assert sessions.of(visitor("two")).picture is None
    session = sessions.of(visitor("one"))
    assert session.picture.size == (104, 10) and session.travel(-3) and session.picture.size == (101, 10)
    assert not session.travel(-2)
    session.put(picture(), megabytes=0)
    assert [p.size for p in session.pictures] == [(100, 10), (9, 9)], "over budget the first and the last stay"
    with session.new_file("result", "../../evil.png") as path:
        path.write_bytes(b"x")
    assert folder in path.parents and path.name == "evil.png"
    sessions.forget("one")
    assert not path.exists() and sessions.of(visitor("one")).picture is None


def test_each_use_has_a_folder_and_replaces_only_its_own_kind(folder):
    session = Sessions(minutes=60).of(visitor("one"))
    for kind, name in (("batch", "a.zip"), ("result", "a.png"), ("result", "b.png"), ("film", "a.webp")):
        with session.new_file(kind, name) as path:
            path.write_bytes(b"x")
    assert files_in(folder) == ["a.webp", "a.zip", "b.png"]
    with session.new_file("batch", "b.zip") as path:
        assert "a.zip" in files_in(folder), "the last one can be fetched until the next one is there"
        path.write_bytes(b"x")
    assert files_in(folder) == ["a.webp", "b.png", "b.zip"]
    with pytest.raises(OSError), session.new_file("batch", "c.zip") as path:
        path.write_bytes(b"x")
        raise OSError
    assert files_in(folder) == ["a.webp", "b.png", "b.zip"]


def test_a_batch_under_way_keeps_its_files_while_another_one_ends(folder):
    session = Sessions(minutes=60).of(visitor("one"))
    with session.new_file("batch", "first.zip") as first:
        first.write_bytes(b"x")
        with session.new_file("batch", "second.zip") as second:
            second.write_bytes(b"x")
        assert first.exists() and second.exists()


def test_a_visitor_with_something_under_way_is_not_idle(clock):
    sessions = Sessions(minutes=10, away=60)
    mine = sessions.of(visitor("mine"))
    mine.put(picture(), megabytes=10)
    with mine.running("batch") as cancel:
        sessions.disconnected(visitor("mine"))
        clock.now += 10 * 3600
        sessions.of(visitor("another"))
        assert sessions.all["mine"] is mine and mine.picture and not cancel.cancelled
    mine.away = None
    clock.now += 599
    sessions.of(visitor("another"))
    assert "mine" in sessions.all, "the time begins when the last thing is done"
    clock.now += 2
    sessions.of(visitor("another"))
    assert "mine" not in sessions.all and mine.picture is None


def test_a_lost_connection_is_forgiven_and_a_closed_tab_forgotten(clock):
    sessions = Sessions(minutes=120, away=60)
    for name in ("phone", "reconnected", "closed"):
        sessions.of(visitor(name)).put(picture(), megabytes=10)
        sessions.disconnected(visitor(name))
    clock.now += 59
    assert sessions.of(visitor("phone")).picture, "the phone wakes up and asks for something"
    sessions.connected("reconnected")
    clock.now += 2
    sessions.sweep()
    assert set(sessions.all) == {"phone", "reconnected"}


def test_a_closed_tab_is_forgotten_although_nobody_else_comes():
    sessions, gone = Sessions(minutes=120, away=0.05), threading.Event()
    mine = sessions.of(visitor("mine"))
    mine.put(picture(), megabytes=10)
    sessions.disconnected(visitor("mine"))
    for _ in range(200):
        if not sessions.all:
            break
        gone.wait(0.05)
    assert not sessions.all and mine.picture is None


def test_the_memory_of_forgotten_visitors_is_returned_at_once(clock, monkeypatch):
    trimmed, sessions = [], Sessions(minutes=1, most=2)
    monkeypatch.setattr(module.malloc, "trim", lambda: trimmed.append(len(sessions.all)))
    for name in ("one", "two", "three"):
        sessions.of(visitor(name)).put(picture(), 9)
    assert not trimmed
    sessions.forget("one")
    clock.now += 61
    sessions.of(visitor("four"))
    assert trimmed == [2, 1]


def test_cancel_stops_what_it_was_pressed_for():
    session = Sessions(minutes=60).of(visitor("one"))
    with session.running("batch") as batch, session.running("paint") as paint:
        session.cancel("paint")
        assert paint.cancelled and not batch.cancelled
        session.cancel()
        assert batch.cancelled
    assert not session.working


def test_a_full_page_lets_the_longest_unseen_give_way(clock):
    sessions = Sessions(minutes=120, most=2, share=500)
    for name in ("old", "new"):
        sessions.of(visitor(name)).put(picture(), megabytes=10)
        clock.now += 100
    third = sessions.of(visitor("third"))
    with pytest.raises(InvalidRequest, match="too many"):
        sessions.check_room(third)
    clock.now += module.RESTING
    sessions.of(visitor("new"))
    sessions.check_room(third)
    assert set(sessions.all) == {"new", "third"}
    third.put(picture(), megabytes=10)
    sessions.disconnected(visitor("new"))
    sessions.check_room(sessions.of(visitor("fourth")))
    assert set(sessions.all) == {"third", "fourth"}, "one who is away gives way at once"


def test_one_address_cannot_take_all_the_room(clock):
    sessions = Sessions(minutes=120, most=60, share=3)
    for n in range(60):
        greedy = sessions.of(visitor(f"greedy {n}", "6.6.6.6"))
        try:
            sessions.check_room(greedy)
            greedy.put(picture((1, 1)), megabytes=10)
        except InvalidRequest:
            assert n >= 3
    guest = sessions.of(visitor("guest", "1.1.1.1"))
    sessions.check_room(guest)
    assert sum(bool(session.pictures) for session in sessions.all.values()) == 3


def test_nobody_with_a_job_gives_way(clock):
    sessions = Sessions(minutes=120, most=1)
    worker = sessions.of(visitor("worker"))
    worker.put(picture(), megabytes=10)
    with worker.running("paint"):
        clock.now += 3600
        sessions.disconnected(visitor("worker"))
        with pytest.raises(InvalidRequest):
            sessions.check_room(sessions.of(visitor("guest")))


@pytest.mark.parametrize(
    ("peer", "said", "trusted", "address"),
    [
        ("8.8.8.8", "1.1.1.1", None, "8.8.8.8"),
        ("192.168.1.7", "8.8.8.8", None, "192.168.1.7"),  # no proxy: whoever asks says it themselves
        ("10.0.0.7", "1.1.1.1", None, "10.0.0.7"),
        ("127.0.0.1", "made up, 1.1.1.1", None, "1.1.1.1"),  # a proxy or a share link on this machine
        ("10.0.0.7", "made up, 1.1.1.1", "10.0.0.0/8", "1.1.1.1"),
        ("10.0.0.7", "made up, 1.1.1.1, 10.2.0.1", "10.0.0.0/8", "1.1.1.1"),
        ("2001:db8:1:2:3:4:5:6", "1.1.1.1", None, "2001:db8:1:2::/64"),  # whoever has one has the whole network
        ("2001:db8:1:2:ffff::1", "1.1.1.1", None, "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "1.1.1.1", None, "2001:db8:1:3::/64"),
        ("::ffff:8.8.8.8", "1.1.1.1", None, "8.8.8.8"),
    ],
)
def test_addresses_come_from_trusted_proxies(peer, said, trusted, address, monkeypatch):
    """Through the middleware that the server itself puts in front."""
    import uvicorn
    from starlette.requests import Request

    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    if trusted:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    seen = []

    async def app(scope, receive, send):
        seen.append(address_of(Request(scope)))

    config = uvicorn.Config(app, log_level="critical")
    config.load()
    scope = {"type": "http", "client": (peer, 1), "headers": [(b"x-forwarded-for", said.encode())], "scheme": "http"}
    with ThreadPoolExecutor(1) as pool:
        pool.submit(
            lambda: asyncio.run(config.loaded_app({**scope, "asgi": {"version": "3.0"}}, None, None))
        ).result()
    assert seen == [address]


def test_an_address_may_be_unknown():
    assert address_of(None) == address_of(SimpleNamespace()) == ""


def made(many: int, side: int = 512) -> SimpleNamespace:
    return SimpleNamespace(images=[Image.new("RGB", (side, side)) for _ in range(many)])


def test_the_last_results_deleted_come_back_to_their_places():
    session = Session()
    session.put(picture(), megabytes=10)
    new, _ = session.add([made(8)], megabytes=100)
    for chosen in new[:6]:
        session.delete(chosen)
    assert session.strip == new[6:] and session.undelete("nothing") is None
    assert session.undelete(new[0].id) is None, "more than five are not kept"
    for chosen in reversed(new[1:6]):
        assert session.undelete(chosen.id) is chosen
    assert session.strip == new[1:] and session.undelete(new[1].id) is None


def test_deleted_results_make_room_first():
    session = Session()
    session.put(picture(), megabytes=10)
    new, _ = session.add([made(4)], megabytes=3)
    assert len(new) == 4  # of 0.75 MB
    session.delete(new[0])
    _, gone = session.add([made(1)], megabytes=3)
    assert gone == [] and session.undelete(new[0].id) is None
