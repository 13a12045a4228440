"""Let clients vanish, the disk fill up and the clock jump while the page runs: the next visitor is served."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from PIL import Image

from tests import gradio_aside
from tests.robustness.hostile.visitor import PREFIX, Visitor, hosted, named, painted, png

pytestmark = gradio_aside.warnings


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """(address, Page, folder of its files)"""
    from page.limits import Limits

    folder = tmp_path_factory.mktemp("faults") / "files"
    with hosted(folder, Limits(away_seconds=1)) as (address, page):
        yield address, page, folder


def until(condition, seconds: float = 15) -> None:
    """Waits for it, no longer than so."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        pause.wait(0.02)


def apart(work):
    """What the coroutine gives, in a thread of its own: in this one a browser's loop may be running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


def files_in(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def served(place) -> None:
    """Somebody else comes, and gets a picture at once; nobody's job runs then."""
    until(lambda: place[1].queue.idle, 5)
    visitor = Visitor(place[0])
    visitor.open(png())
    assert visitor.run(painted(), **{"option-steps": 3})[-1]["kind"] == "result"


@pytest.mark.parametrize("after", [0, 1_000_000, 3_999_000])
def test_a_client_that_goes_in_the_middle_of_an_upload(place, after):
    address, _, folder = place
    url, before = httpx.URL(address), set(files_in(folder))
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    with socket.create_connection((url.host, url.port)) as client:
        client.sendall(
            f"POST {PREFIX}/upload HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 4000000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode()
            + head
            + bytes(after)
        )
        until(
            lambda: (
                sum(f.stat().st_size for f in set(files_in(folder)) - before) >= after - 300_000
                and set(files_in(folder)) != before
            )
        )
    until(lambda: set(files_in(folder)) == before)
    served(place)


def test_a_tab_that_closes_in_the_middle_of_a_run(place):
    """With the heartbeat that a browser keeps: job, place in the line, pictures and files go."""
    address, page, _ = place
    visitor = Visitor(address)
    visitor.open(png())
    visitor.run(painted(), **{"option-steps": 3})
    visitor.act("save", format="png")
    session = page.sessions.all[visitor.session]
    kept, stored = weakref.ref(session.picture.rgb), session.folder
    assert files_in(stored)
    del session
    beat = Stream(address, f"/heartbeat/{visitor.session}")
    steps = Stream(address, begun(visitor, **{"prompt": "slow", "option-steps": 60}))
    steps.read_until(lambda told: '"fraction"' in told)
    steps.close()
    beat.close()
    until(lambda: page.queue.idle)
    until(lambda: visitor.session not in page.sessions.all and not stored.exists())
    until(lambda: gc.collect() is not None and kept() is None)
    served(place)


def test_a_lost_heartbeat_loses_nothing(tmp_path):
    """A phone sleeps, a network changes: who comes back finds everything; who does not is forgotten."""
    from page.limits import Limits

    with hosted(tmp_path / "files", Limits()) as (address, page):
        back, listening, gone = (Visitor(address) for _ in range(3))
        for visitor in (back, listening, gone):
            visitor.open(png())
            beat = Stream(address, f"/heartbeat/{visitor.session}")
            beat.read_until(lambda told: "ALIVE" in told)
            beat.close()
        until(lambda: all(session.away for session in page.sessions.all.values()))
        beat = Stream(address, f"/heartbeat/{listening.session}")
        beat.read_until(lambda told: "ALIVE" in told)
        assert back.run(painted(), **{"option-steps": 3})[-1]["kind"] == "result"
        until(lambda: page.sessions.all[listening.session].away is None)
        page.sessions.away = 0  # the time is over
        page.sessions.sweep()
        assert set(page.sessions.all) == {back.session, listening.session}
        assert back.act("save", format="png")["kind"] == "file"
        beat.close()


def test_an_api_client_that_goes_in_the_middle_of_a_stream(place):
    address, page, _ = place
    visitor = Visitor(address)
    data = [named(visitor.upload(png())), named(visitor.upload(mask())), "slow", '{"steps": 60}', ""]
    event = visitor.client.post(f"{PREFIX}/call/inpaint", json={"data": data}).json()["event_id"]
    stream = Stream(address, f"/call/inpaint/{event}")
    stream.read_until(lambda told: "preview.jpg" in told)
    assert not page.queue.idle
    stream.close()
    served(place)


class Stream:
    """A connection that is read line by line and can be dropped."""

    def __init__(self, address: str, path: str):
        self.client = httpx.Client(timeout=20)
        self.answer = self.client.send(self.client.build_request("GET", f"{address}{PREFIX}{path}"), stream=True)
        self.lines = self.answer.iter_lines()

    def read_until(self, enough) -> None:
        next(line for line in self.lines if enough(line))

    def close(self) -> None:
        self.answer.close()
        self.client.close()


def begun(visitor: Visitor, **settings) -> str:
    """The run button is pressed; where to listen."""
    config = visitor.client.get("/config").json()
    ids = {c["props"].get("elem_id"): c["id"] for c in config["components"]}
    button = next(f for f in config["dependencies"] if [ids["run"], "click"] in f["targets"])
    values = {c["id"]: c["props"].get("value") for c in config["components"]}
    data = [values.get(n) for n in button["inputs"]]
    data[0] = json.dumps({"mask": painted()})
    for name, value in settings.items():
        data[button["inputs"].index(ids[name])] = value
    visitor.client.post(
        f"{PREFIX}/queue/join",
        json={
            "data": data,
            "fn_index": button["id"],
            "session_hash": visitor.session,
            "event_data": None,
            "trigger_id": ids["run"],
        },
    ).raise_for_status()
    return f"/queue/data?session_hash={visitor.session}"


def mask() -> bytes:
    from io import BytesIO

    image, file = Image.new("L", (96, 64)), BytesIO()
    image.paste(255, (10, 10, 40, 40))
    image.save(file, "PNG")
    return file.getvalue()


class Cancelling:
    """A painter that presses Cancel itself, after so many steps; the worker's thread may wait for the server."""

    def __init__(self, painter):
        self.painter, self.model, self.after, self.visitor = painter, painter.model, None, None

    def stream(self, request, fills=False):
        for k, event in enumerate(self.painter.stream(request)):
            if k == self.after:
                self.visitor.cancel()
            yield event


def test_after_cancels_at_random_moments_a_run_is_that_of_a_fresh_process(place, tmp_path, monkeypatch):
    import inpaint
    from page.jobs.current_model import current_model

    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "mask.png").write_bytes(mask())
    fresh = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "inpaint",
            "a.png",
            "mask.png",
            "x",
            "-o",
            "out.png",
            "--model",
            "toy",
            "--seed",
            "7",
            "--steps",
            "5",
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    painter, dice = Cancelling(inpaint.load("toy")), random.Random(11)
    monkeypatch.setattr(current_model, "painter", painter)
    painter.visitor = visitor = Visitor(place[0])
    visitor.open(png())
    for _ in range(12):
        painter.after = dice.randrange(6)  # 5 is when all steps are done and the result is on its way
        last = visitor.run(painted(), **{"option-steps": 5}, seed=dice.randrange(99))[-1]
        assert last["kind"] == "stopped" and not last.get("bad"), last
    painter.after = None
    told = Visitor(place[0]).api(
        named(visitor.upload(png())), named(visitor.upload(mask())), '{"steps": 5, "seed": 7}', prompt="x"
    )
    words = fresh.communicate(timeout=60)[1]
    assert fresh.returncode == 0, words
    with Image.open(tmp_path / "out.png") as a, Image.open(told["files"][0]) as b:
        assert a.tobytes() == b.tobytes()


def no_room(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_reported_and_the_result_is_kept(place, monkeypatch):
    from inpaint.files import writing

    visitor = Visitor(place[0])
    visitor.open(png())
    visitor.run(painted(), **{"option-steps": 3})
    for patched, name in ((Path, "mkdir"), (writing, "open"), (writing.os, "fsync")):
        with monkeypatch.context() as patch:
            patch.setattr(patched, name, no_room, raising=False)
            told = visitor.act("save", format="png")
        assert told["bad"] and "Free some space" in told["say"] and "Errno" not in told["say"], (name, told)
    assert visitor.act("save", format="png")["kind"] == "file"
    told = visitor.api(named(visitor.upload(png())), named(visitor.upload(mask())))
    assert told["files"]
    with monkeypatch.context() as patch:
        patch.setattr(writing.os, "fsync", no_room)
        told = visitor.api(named(visitor.upload(png())), named(visitor.upload(mask())))
    assert "Free some space" in told["error"] or "Try again later" in told["error"], told
    served(place)


def test_batches_on_a_full_disk_and_one_after_the_other(place, tmp_path, monkeypatch):
    """The handler itself, without a browser: the disk is full when a folder is made, then while a result is saved."""
    from inpaint.files import writing
    from page.batch import Batch

    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "a_mask.png").write_bytes(mask())
    ask, page = SimpleNamespace(session_hash="batch", headers={}), place[1]
    values = [10 if name == "steps" else component.value for name, component in page.controls.by_name.items()]

    async def told() -> list:
        run = Batch(page).run(ask, [str(tmp_path / "a.png")], [str(tmp_path / "a_mask.png")], "fake", *values)
        with page.listeners.reading("batch"):
            return [answer async for answer in run]

    for patched, name in ((Path, "mkdir"), (writing, "open")):
        with monkeypatch.context() as patch:
            patch.setattr(patched, name, no_room, raising=False)
            assert any("Free some space" in text for text, _ in apart(told)), name
    for _ in range(2):
        text, file = apart(told)[-1]
        assert "✓ a.png" in text and Path(file["value"]).is_file()


def test_no_clock_can_take_files_or_time_away(tmp_path, monkeypatch):
    """The wall clock jumps by days, forward and back: sessions, results and the time left do not care."""
    from page import api, session
    from page.jobs.events import Preview
    from page.paint.running import Running
    from page.storage import Storage

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    sessions, ask, real = session.Sessions(minutes=10), SimpleNamespace(session_hash="a"), time.time
    mine, results = sessions.of(ask), api.KeptResults(Storage(1000))
    with mine.new_file("result", "out.png") as path:
        path.write_bytes(b"x")
    result = Path(results.add(b"picture", "a.png"))
    for days in (30, -30, 3650, -18000):
        monkeypatch.setattr(time, "time", lambda days=days: real() + 86400 * days)
        sessions.of(SimpleNamespace(session_hash=f"b{days}"))
        results.add(b"another", "b.png")
        assert sessions.of(ask) is mine and files_in(mine.folder) and result.read_bytes() == b"picture"
    now = time.monotonic()
    monkeypatch.setattr(session, "monotonic", lambda: now + 601)  # but ten real minutes do end it
    monkeypatch.setattr(api, "monotonic", lambda: now + api.KEPT + 1)
    sessions.of(SimpleNamespace(session_hash="c"))
    results.add(b"last", "c.png")
    assert "a" not in sessions.all and not result.exists()
    told = Running(None).step(Preview(0, 4, -5.0, None), "en", None)
    assert "-" not in str(told["text"])
