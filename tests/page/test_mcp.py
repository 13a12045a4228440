"""`app.py --mcp` seen by a real MCP client.

gradio[mcp] wants mcp < 2 and an older pydantic than the rest of this program, so it lives in a place of its own:

    python -m venv mcp && mcp/bin/pip install -r tests/requirements-mcp.txt
    mcp/bin/python -m pytest tests/test_page_mcp.py
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def address(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "tests/browser/serve.py", "--port", str(port), "--mcp"], cwd=ROOT, stdout=out, stderr=out
        )
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        process.wait(20)


def test_an_mcp_client_repaints_a_picture(address, tmp_path):
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    def data(image: Image.Image, name: str) -> str:
        image.save(tmp_path / name)
        return "data:image/png;base64," + base64.b64encode((tmp_path / name).read_bytes()).decode()

    mask = Image.new("L", (64, 48))
    mask.paste(255, (10, 10, 30, 30))
    arguments = {
        "picture": data(Image.new("RGB", (64, 48), (9, 99, 9)), "p.png"),
        "mask": data(mask, "m.png"),
        "prompt": "a red scarf",
        "settings": json.dumps({"steps": 2, "seed": 5}),
    }

    async def use():
        async with (
            streamablehttp_client(f"{address}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = (await session.list_tools()).tools
            assert [tool.name for tool in tools if "inpaint" in tool.name], tools
            tool = next(tool for tool in tools if "inpaint" in tool.name)
            assert "every other pixel stays" in tool.description
            return len(tools), await session.call_tool(tool.name, arguments)

    count, answer = asyncio.run(use())
    assert count == 1, "only the endpoint is a tool"
    assert not answer.isError, answer
    text = " ".join(part.text for part in answer.content if part.type == "text")
    assert '"seed": 5' in text and "inpainted-1.png" in text, text
