"""Run cases through the HTTP API: one app.py on a free port of the loopback, many requests to it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import httpx
from PIL import Image

from inpaint import InpaintError, Picture, Request
from tests.robustness.hostile import values
from tests.robustness.hostile.cases import Case, sound_mask, sound_picture
from tests.robustness.hostile.verdict import SECONDS, Wrong, right

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def served(*arguments: str):
    """(address, process, file of its standard error) of an app.py of one's own, which ends with the block."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--model", "toy", "--port", str(port), *arguments],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/", process)
            yield f"http://127.0.0.1:{port}", process, said
        finally:
            process.terminate()
            process.wait(30)


def wait_for(address: str, process: subprocess.Popen, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            httpx.get(address, timeout=5)
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError("app.py does not answer")


class Through:
    """`run(case)` uploads its files, asks, follows the events and fetches the result."""

    def __init__(self, address: str):
        self.client = httpx.Client(base_url=f"{address}/gradio_api", timeout=4 * SECONDS)

    def run(self, case: Case) -> None:
        picture, mask = case.picture if case.file is None else case.file, case.mask
        settings = {name: value for name, value in case.settings.items() if name != "prompt"}
        prompt = case.settings.get("prompt", "")
        data = [
            self.uploaded(picture, f"picture{case.suffix}"),
            self.uploaded(mask, "mask.png"),
            prompt,
            jsoned(settings),
            "",
        ]
        images = self.images(data)
        right(SimpleNamespace(images=images), Request(picture=picture, mask=mask, **case.settings))

    def uploaded(self, data: bytes | None, name: str) -> dict | None:
        if data is None:
            return None
        answer = self.client.post("/upload", files={"files": (name, data)})
        if answer.status_code != 200:
            raise refusal(answer)
        return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}, "orig_name": name}

    def answers(self, data) -> None:
        """A picture, or InpaintError with the words of a refusal."""
        self.images(data)

    def images(self, data) -> list[Image.Image]:
        """What the endpoint answers to this data; InpaintError for a refusal in words, Wrong for anything else."""
        answer = self.client.post(
            "/call/inpaint", content=jsoned({"data": data}).encode(), headers={"content-type": "application/json"}
        )
        if answer.status_code != 200:
            raise refusal(answer)
        event, told = "", None
        with self.client.stream("GET", f"/call/inpaint/{answer.json()['event_id']}") as lines:
            for line in lines.iter_lines():
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: ") and event in ("generating", "complete", "error"):
                    told = json.loads(line[6:]) or told
        if event == "error":
            raise InpaintError(sentence(told))
        if event != "complete" or not told or not told[0]:
            raise Wrong(f"ended with {event!r} and {str(told)[:200]}")
        return [self.fetched(file["path"]) for file in told[0]]

    def fetched(self, path: str) -> Image.Image:
        answer = self.client.get(f"/file={path}")
        if answer.status_code != 200:
            raise Wrong(f"the result cannot be fetched: {answer.status_code}")
        return Picture.open(BytesIO(answer.content)).rgb

    def sound(self, sampler: str = "ddim") -> None:
        """An ordinary request still gets its picture."""
        settings = {**values.cheap({}), "sampler": sampler}
        data = [
            self.uploaded(sound_picture(), "a.png"),
            self.uploaded(sound_mask(), "b.png"),
            "x",
            json.dumps(settings),
            "",
        ]
        right(
            SimpleNamespace(images=self.images(data)), Request(picture=sound_picture(), mask=sound_mask(), **settings)
        )


def sentence(told) -> str:
    """The words of an error event; Wrong if they are those for what nobody expected."""
    text = told.get("error") if isinstance(told, dict) else told
    if not isinstance(text, str):
        raise Wrong(f"an error without words: {str(told)[:200]}")
    if "something went wrong" in text:
        raise Wrong(text)
    return text


def refusal(answer: httpx.Response) -> Exception:
    """A status of 4xx with a sentence is one; 500 is not."""
    if not 400 <= answer.status_code < 500:
        return Wrong(f"status {answer.status_code}: {answer.text[:200]}")
    try:
        detail = answer.json().get("detail")
    except (ValueError, AttributeError):
        detail = answer.text
    return InpaintError(f"Refused with {answer.status_code}: {str(detail)[:200]}.")


def jsoned(value) -> str:
    """JSON as a careless client writes it: NaN, Infinity and whole numbers of any length."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(value)
    finally:
        sys.set_int_max_str_digits(limit)
