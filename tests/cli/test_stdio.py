"""Run `python -m inpaint --mcp` as an assistant does: a real client, pictures by their paths, the toy."""

import asyncio
import gc
import json
import os
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from mcp import ClientSession, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from PIL import Image

from inpaint.cli.main import main

from ..fakes import opened
from .test_main import ROOT, failing

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
QUICK = {"steps": 2, "size": 64, "seed": 5}


@pytest.fixture(autouse=True)
def collected():
    """Collect what the protocol's library leaves open here, where its warnings do not count against another test."""
    yield
    gc.collect()


@asynccontextmanager
async def connected(*flags: str):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "inpaint", "--mcp", "--model", "toy", *flags], env=environment
    )
    with open("log", "w") as log:
        async with stdio_client(server, errlog=log) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            yield session


def call(arguments: dict) -> types.CallToolResult:
    async def once():
        async with connected() as session:
            (described,) = (await session.list_tools()).tools
            assert "out" in described.inputSchema["properties"]
            return await session.call_tool(described.name, arguments)

    return asyncio.run(once())


def test_a_picture_of_12_megapixels_is_repainted_beside_itself(workdir):
    coarse = np.random.default_rng(0).integers(0, 256, (75, 100, 3), np.uint8)
    photo = Image.fromarray(coarse).resize((4000, 3000), Image.Resampling.NEAREST)
    photo.save("a photo ä.png")
    mask = Image.new("L", photo.size)
    mask.paste(255, (1000, 1000, 1200, 1100))
    mask.save("mask.png")
    answer = call({"picture": str(workdir / "a photo ä.png"), "mask": "mask.png", "settings": QUICK})
    assert not answer.isError, answer
    facts = json.loads(answer.content[0].text)
    assert facts["report"]["max_change_outside"] == 0 and facts["seeds"] == [5]
    assert facts["files"] == [str((workdir / "a photo ä-inpainted.png").resolve())]
    assert answer.content[1].type == "image" and len(answer.content[1].data) < 500_000
    result, outside = np.asarray(opened(facts["files"][0]).convert("RGB")), np.asarray(mask) == 0
    assert np.array_equal(result[outside], np.asarray(photo)[outside])


def test_nothing_is_written_over(workdir):
    before = {name: Path(name).read_bytes() for name in ("cat.png", "mask.png")}

    async def use():
        async with connected() as session:
            given = {"picture": "cat.png", "mask": "mask.png", "settings": json.dumps(QUICK)}
            told = [await session.call_tool("inpaint", given) for _ in range(2)]
            assert [Path(json.loads(one.content[0].text)["files"][0]).name for one in told] == [
                "cat-inpainted.png", "cat-inpainted-1.png"]  # fmt: skip
            for out in ("cat.png", "mask.png", "cat-inpainted.png"):
                refused = await session.call_tool("inpaint", {**given, "out": out})
                assert refused.isError and "exists already" in refused.content[0].text
            named = await session.call_tool("inpaint", {**given, "out": "new.webp"})
            assert not named.isError and opened("new.webp").format == "WEBP"

    asyncio.run(use())
    assert before == {name: Path(name).read_bytes() for name in before}


WRONG = [
    ({"picture": None}, "no picture"),
    ({"picture": "gone.png"}, "gone.png is not there"),
    ({"picture": ["cat.png"]}, "is not text"),
    ({"mask": "log"}, "log"),
    ({"settings": {"stepz": 1}}, "no option named stepz"),
    ({"settings": []}, "not a JSON object"),
    ({"settings": "[1]"}, "not a JSON object"),
    ({"settings": "{"}, "not valid JSON"),
    ({"settings": {"steps": 0}}, "from 1 to 150"),
    ({"settings": {"prompt": "a"}, "prompt": "b"}, "two prompts"),
    ({"steps": 3}, "Options belong in settings"),
    ({"out": "o.bmp"}, ".png"),
    ({"out": "no/o.png"}, "no such folder"),
]


def test_what_is_wrong_is_one_sentence(workdir):
    async def use():
        async with connected() as session:
            for change, sentence in WRONG:
                given = {"picture": "cat.png", "mask": "mask.png", "settings": QUICK, **change}
                answer = await session.call_tool("inpaint", given)
                text = answer.content[0].text
                assert answer.isError and sentence in text and "Traceback" not in text, (change, text)
            assert (await session.call_tool("outpaint", {})).isError
            good = {"picture": "cat.png", "mask": "mask.png", "settings": {**QUICK, "prompt": "a hat"}}
            assert not (await session.call_tool("inpaint", good)).isError

    asyncio.run(use())


def test_a_cancelled_call_stops_and_the_next_one_is_answered(workdir):
    async def use():
        started = asyncio.Event()

        async def progress(*_):
            started.set()

        async with connected() as session:
            long = {"steps": 150, "size": 2048, "count": 8}
            given = {"picture": "cat.png", "mask": "mask.png", "settings": long}
            task = asyncio.create_task(session.call_tool("inpaint", given, progress_callback=progress))
            await asyncio.wait_for(started.wait(), 60)
            stop = types.CancelledNotificationParams(requestId=session._request_id - 1)
            await session.send_notification(
                types.ClientNotification(types.CancelledNotification(method="notifications/cancelled", params=stop))
            )
            with pytest.raises(Exception, match="cancelled"):
                await asyncio.wait_for(task, 20)
            clock = time.perf_counter()
            assert not (await session.call_tool("inpaint", {**given, "settings": QUICK})).isError
            assert time.perf_counter() - clock < 20

    asyncio.run(use())


def test_mcp_takes_no_picture_of_its_own(workdir, capsys):
    for words in (["cat.png"], ["--batch", "."], ["-o", "x.png"]):
        code, err = failing(["--mcp", *words], capsys)
        assert code == 2 and "from the assistant" in err


def test_a_missing_library_is_reported(workdir, capsys, monkeypatch):
    from inpaint.cli import main as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert main(["--mcp"]) == 2
    assert 'pip install "mcp<2"' in capsys.readouterr().err
