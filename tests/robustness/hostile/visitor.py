"""Act as visitors of a page in this process: upload, press buttons, ask for addresses, by hand over HTTP."""

from __future__ import annotations

import base64
import json
import os
import secrets
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import httpx
from PIL import Image

PREFIX = "/gradio_api"


@contextmanager
def hosted(folder: Path, limits):
    """(address, Page) of a page on the pretending painter, with all that app.py guards it by; files in `folder`."""
    from page.jobs.current_model import current_model
    from page.layout import Page
    from page.server import middleware
    from tests.browser.serve import Painter

    before = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    current = current_model.name, current_model.painter
    current_model.name, current_model.painter = "fake", Painter()
    page = Page(limits, "fake")
    demo = page.build()
    try:
        _, address, _ = demo.launch(
            prevent_thread_lock=True,
            quiet=True,
            ssr_mode=False,
            run_history=False,
            **middleware.guards(page),
        )
        yield address.rstrip("/"), page
    finally:
        demo.close()
        while Visitor.clients:
            Visitor.clients.pop().close()
        current_model.name, current_model.painter = current
        os.environ.pop("GRADIO_TEMP_DIR")
        if before is not None:
            os.environ["GRADIO_TEMP_DIR"] = before


class Visitor:
    """One browser tab: a session of its own."""

    clients: ClassVar[list[httpx.Client]] = []  # to be closed with the page

    def __init__(self, address: str, session: str | None = None):
        self.client = httpx.Client(base_url=address, timeout=20)
        self.clients.append(self.client)
        self.session = session or secrets.token_hex(6)
        self.functions = self.client.get("/config").json()["dependencies"]
        self.latest = ""  # the id of the last result

    def get(self, path: str, **more) -> httpx.Response:
        """GET, the path sent exactly as it is given: httpx would tidy up dots and backslashes."""
        url = httpx.URL(self.client.base_url.copy_with(raw_path=path.encode()))
        return self.client.send(self.client.build_request("GET", url, **more))

    def file(self, path: str) -> httpx.Response:
        return self.get(f"{PREFIX}/file={path}")

    def upload(self, data: bytes, name: str = "a.png") -> str:
        """The path that the server gives it."""
        return self.client.post(f"{PREFIX}/upload", files={"files": (name, data)}).raise_for_status().json()[0]

    def open(self, data: bytes, name: str = "a.png") -> dict:
        """A picture put on the table, as the page does it; the server's message."""
        path = self.upload(data + secrets.token_bytes(16))
        return self.trigger("open", {"path": path, "name": name})

    def act(self, what: str, **more) -> dict:
        return self.trigger("act", {"do": what, "id": self.latest, **more})

    def trigger(self, event: str, content: Any) -> dict:
        """The message that answers an event of the stage."""
        index, target = next((f["id"], t[0]) for f in self.functions for t in f["targets"] if t[1] == event)
        return self.call(index, [], content, target)[-1][0]

    def run(self, mask: str, prompt: str = "", **settings) -> list[dict]:
        """The run button's messages; settings by the component's elem_id."""
        config = self.client.get("/config").json()
        ids = {c["props"].get("elem_id"): c["id"] for c in config["components"]}
        button = next(f for f in config["dependencies"] if [ids["run"], "click"] in f["targets"])
        values = {c["id"]: c["props"].get("value") for c in config["components"]}
        data = [values.get(n) for n in button["inputs"]]
        data[0] = json.dumps({"mask": mask})
        for name, value in {"prompt": prompt, **settings}.items():
            data[button["inputs"].index(ids[name])] = value
        answers = [answer[0] for answer in self.call(button["id"], data, None, ids["run"])]
        for item in (item for answer in answers for item in answer.get("items", ())):
            self.latest = item["id"]
        return [answer for answer in answers if "kind" in answer or "error" in answer]

    def cancel(self) -> None:
        """The cancel button, which waits in no line."""
        config = self.client.get("/config").json()
        button = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "cancel")
        index = next(f["id"] for f in config["dependencies"] if [button, "click"] in f["targets"])
        self.client.post(
            f"{PREFIX}/run/predict",
            json={"data": [], "fn_index": index, "trigger_id": button, "session_hash": self.session},
        ).raise_for_status()

    def api(self, picture, mask, settings: str = '{"steps": 3}', model: str = "", prompt: str = "") -> dict:
        """The last thing that /inpaint answers: {"error": sentence}, or {"files": […], "report": {…}}."""
        data = [picture, mask, prompt, settings, model]
        answer = self.client.post(f"{PREFIX}/call/inpaint", json={"data": data})
        if answer.status_code == 400:
            return {"error": answer.json()["detail"]}
        asked = answer.raise_for_status().json()
        text = self.client.get(f"{PREFIX}/call/inpaint/{asked['event_id']}").text.strip()
        event, told = text.rpartition("event: ")[2].split("\n", 1)
        told = json.loads(told.removeprefix("data: "))
        return told if event == "error" else {"files": [f["path"] for f in told[0]], "report": json.loads(told[1])}

    def call(self, index: int, data: list, content: Any, target: int) -> list:
        """Every answer's data, through the queue; the last one may be {"error": …}."""
        body = {
            "data": data,
            "fn_index": index,
            "session_hash": self.session,
            "event_data": content,
            "trigger_id": target,
        }
        answer = self.client.post(
            f"{PREFIX}/queue/join", content=json.dumps(body).encode(), headers={"content-type": "application/json"}
        )
        if answer.status_code == 400:
            return [[{"error": answer.json()["detail"]}]]
        answer.raise_for_status()
        from gradio_client.utils import apply_diff

        answers = []
        with self.client.stream("GET", f"{PREFIX}/queue/data?session_hash={self.session}") as lines:
            for line in lines.iter_lines():
                told = json.loads(line[6:]) if line.startswith("data: ") else {}
                if told.get("msg") in ("process_generating", "process_completed"):
                    now = told["output"].get("data") or [told["output"]]
                    if told["msg"] == "process_generating" and answers:  # only what has changed since
                        now = [apply_diff(before, change) for before, change in zip(answers[-1], now, strict=True)]
                    answers.append(now)
                if told.get("msg") in ("process_completed", "close_stream"):
                    break
        return answers


def named(path: str, **more) -> dict:
    """A file as the API takes it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


def png(size: tuple[int, int] = (96, 64), colour: tuple[int, int, int] = (9, 99, 199)) -> bytes:
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def painted(size: tuple[int, int] = (96, 64)) -> str:
    """The `data:` address of a mask as the page sends it."""
    mask, file = Image.new("L", size), BytesIO()
    mask.paste(255, (10, 10, 40, 40))
    mask.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
