"""Check `app.py --mcp` with a real MCP client and models that paint: the toy and the built-in one."""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client
from PIL import Image

import inpaint
from inpaint.cli import tool
from inpaint.request import options

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "assets" / "examples"
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def collected():
    """Collect what the protocol's library leaves open here, where its warnings do not count against another test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page, started as the README says, on a free port."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = tmp_path_factory.mktemp("mcp") / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--model", "toy", "--port", str(port), "--mcp"],
            cwd=ROOT,
            stdout=out,
            stderr=out,
        )
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        process.wait(20)
        assert "Traceback" not in log.read_text(), log.read_text()


@asynccontextmanager
async def connected(address: str):
    """A client's session, made by the protocol's own library."""
    async with (
        streamable_http_client(f"{address}/gradio_api/mcp/") as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield session


def call(address: str, arguments: dict, **more) -> types.CallToolResult:
    async def once():
        async with connected(address) as session:
            return await session.call_tool("inpaint", arguments, **more)

    return asyncio.run(once())


def text_of(answer: types.CallToolResult) -> str:
    return " ".join(part.text for part in answer.content if part.type == "text")


def data_url(image: Image.Image, format: str = "PNG", **settings) -> str:
    file = io.BytesIO()
    image.save(file, format, **settings)
    return f"data:image/{format.lower()};base64," + base64.b64encode(file.getvalue()).decode()


def small() -> dict:
    """Arguments of a call that takes a moment."""
    mask = Image.new("L", (64, 48))
    mask.paste(255, (10, 10, 30, 30))
    return {"picture": data_url(Image.new("RGB", (64, 48), (9, 99, 9))), "mask": data_url(mask),
            "settings": {"steps": 2, "seed": 5, "size": 64}}  # fmt: skip


def endless() -> dict:
    """Arguments of a call that takes minutes."""
    return {**small(), "settings": {"steps": 150, "size": 2048, "count": 8, "seed": 1}}


def test_the_tool_describes_every_option(address):
    async def use():
        async with connected(address) as session:
            return (await session.list_tools()).tools

    (described,) = asyncio.run(use())
    schema = described.inputSchema
    assert described.name == "inpaint" and "every other pixel stays" in described.description
    described = schema["properties"]["settings"]["properties"]
    assert schema["required"] == ["picture"] and set(described) == {*options(), "metadata"}
    assert described["steps"]["minimum"] == 1 and "ddim" in described["sampler"]["enum"]
    assert "/gradio_api/upload" in schema["properties"]["picture"]["description"]


def test_a_picture_of_12_megapixels_passes_both_ways(address):
    """As a `data:` URL of more than 4 MB, whose request the protocol's library refuses by default."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (750, 1000, 3), np.uint8))
    photo = coarse.resize((4000, 3000), Image.Resampling.NEAREST)
    mask = Image.new("L", photo.size)
    mask.paste(255, (1000, 1000, 1200, 1100))
    picture = data_url(photo, "JPEG", quality=95, subsampling=0)
    assert len(picture) > 4 * 2**20
    answer = call(address, {"picture": picture, "mask": data_url(mask), "settings": '{"steps": 2, "size": 64}'})
    assert not answer.isError, text_of(answer)
    facts = json.loads(answer.content[0].text)
    assert facts["report"]["max_change_outside"] == 0
    where = re.search(r"inpainted-1\.png: (\S+)", text_of(answer))[1]
    result = np.asarray(Image.open(io.BytesIO(httpx.get(where).content)).convert("RGB"))
    sent = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2]))))
    outside = np.asarray(mask) == 0
    assert np.array_equal(result[outside], sent[outside]) and not np.array_equal(result[~outside], sent[~outside])
    (shown,) = [part for part in answer.content if part.type == "image"]
    assert (
        max(Image.open(io.BytesIO(base64.b64decode(shown.data))).size) == tool.PREVIEW and len(shown.data) < 500_000
    )


def test_an_upload_is_named_by_its_path_or_address(address):
    with open(EXAMPLES / "wren.jpg", "rb") as picture, open(EXAMPLES / "wren-mask.png", "rb") as mask:
        paths = httpx.post(f"{address}/gradio_api/upload", files=[("files", picture), ("files", mask)]).json()
    settings = {"steps": 2, "size": 64, "seed": 1}
    first = call(address, {"picture": paths[0], "mask": paths[1], "settings": settings})
    again = call(
        address, {"picture": f"{address}/gradio_api/file={paths[0]}", "mask": paths[1], "settings": settings}
    )
    assert not first.isError and not again.isError, text_of(first) + text_of(again)


def test_the_mask_may_be_left_out(address):
    answer = call(address, {"picture": small()["picture"], "settings": {"expand": "8,0,0,0", "steps": 2, "size": 64}})
    assert not answer.isError, text_of(answer)


def test_steps_are_reported_to_clients_that_ask(address):
    told = []

    async def progress(done, total, message):
        told.append((done, total))

    answer = call(address, {**small(), "settings": {"steps": 30, "size": 512}}, progress_callback=progress)
    assert not answer.isError and told and all(total == 30 for _, total in told) and told == sorted(told)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"picture": None}, "There is no picture."),
        ({"picture": 7}, "is not text"),
        ({"picture": "/etc/hostname"}, "was not uploaded to this page"),
        ({"picture": "http://example.com/a.png"}, "was not uploaded to this page"),
        ({"picture": "data:image/png;base64,%%%"}, "not a base64"),
        ({"picture": "data:image/png,abc"}, "not a base64"),
        ({"picture": "data:image/png;base64," + base64.b64encode(b"no picture").decode()}, "not a picture"),
        ({"settings": {"stepz": 3}}, "no option named stepz"),
        ({"settings": "[]"}, "settings"),
        ({"settings": {"steps": 0}}, "Choose a value from 1"),
        ({"model": "nowhere/none"}, "nowhere/none"),
    ],
)
def test_what_is_wrong_is_one_sentence(address, change, sentence):
    answer = call(address, {**small(), **change})
    assert answer.isError and sentence in text_of(answer), text_of(answer)
    assert "Traceback" not in text_of(answer) and str(ROOT) not in text_of(answer)


def test_a_call_to_a_full_page_stores_nothing(monkeypatch, tmp_path):
    from page.mcp import McpServer
    from page.storage import Storage

    server = McpServer(SimpleNamespace(page=SimpleNamespace(storage=Storage(0))), 1, 1)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    answer = asyncio.run(server.answered(small()))
    assert answer.isError and "There is no room for more files" in text_of(answer) and not list(tmp_path.iterdir())


async def begun(session: ClientSession) -> asyncio.Task:
    """A call that would take minutes and has done its first step."""
    started = asyncio.Event()

    async def progress(*_):
        started.set()

    task = asyncio.create_task(session.call_tool("inpaint", endless(), progress_callback=progress))
    await asyncio.wait_for(started.wait(), 60)
    return task


def answered_soon(address: str) -> None:
    """The one worker is free again: within a step, of which one takes less than a few seconds."""
    clock = time.perf_counter()
    assert not call(address, small()).isError
    assert time.perf_counter() - clock < 20


def test_a_cancelled_call_stops(address):
    async def use():
        async with connected(address) as session:
            task = await begun(session)
            number = session._request_id - 1
            await session.send_notification(
                types.ClientNotification(
                    types.CancelledNotification(
                        method="notifications/cancelled", params=types.CancelledNotificationParams(requestId=number)
                    )
                )
            )
            with pytest.raises(Exception, match="cancelled"):
                await asyncio.wait_for(task, 20)
            assert not (await session.call_tool("inpaint", small())).isError, "the session goes on"

    asyncio.run(use())
    answered_soon(address)


def test_a_call_whose_client_leaves_stops(address):
    async def use():
        async with connected(address) as session:
            (await begun(session)).cancel()

    asyncio.run(use())
    answered_soon(address)


def test_a_call_whose_client_is_killed_stops(address):
    program = f"""
import asyncio, sys; sys.path.insert(0, {str(ROOT)!r})
from tests.page.test_mcp import begun, connected
async def use():
    async with connected({address!r}) as session:
        await begun(session); print('begun', flush=True); await asyncio.sleep(600)
asyncio.run(use())
"""
    client = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert client.stdout.readline() == "begun\n"
    client.kill()
    client.wait()
    answered_soon(address)


def test_the_built_in_model_draws_for_a_client(address):
    """With its real weights instead of the fake painter."""
    picture, mask = (Image.open(EXAMPLES / name) for name in ("wren.jpg", "wren-mask.png"))
    arguments = {"picture": data_url(picture), "mask": data_url(mask.convert("L")), "prompt": "pizza",
                 "settings": {"steps": 4, "seed": 7}, "model": "builtin"}  # fmt: skip
    answer = call(address, arguments)
    assert not answer.isError, text_of(answer)
    where = re.search(r"inpainted-1\.png: (\S+)", text_of(answer))[1]
    repeated = inpaint.Request.from_image(httpx.get(where).content)
    assert (repeated.prompt, repeated.seed, repeated.steps) == ("pizza", 7, 4)
