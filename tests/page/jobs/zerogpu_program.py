"""Play a ZeroGPU Space with the real `spaces` package: a fake scheduler, real forks, an emulated CUDA.

In the worker the package would turn its emulation off and start the card's driver; on a machine without a card the
emulation stays on there.  Prints one JSON object of what was seen.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))
asked: list[int] = []  # seconds of GPU time, in the order of the jobs


class Scheduler(BaseHTTPRequestHandler):
    """Lends a GPU to whoever asks, unless nobody may have it for so long."""

    def do_POST(self):
        address = urlsplit(self.path)
        answer, status = {}, 200
        if address.path == "/schedule":
            asked.append(int(parse_qs(address.query)["durationSeconds"][0]))
            if asked[-1] > 100:
                status, answer = 429, {"left": 60, "wait": -1}
            else:
                answer = {"idle": False, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "token"}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def start() -> None:
    """Set the variables of a ZeroGPU Space and start the scheduler."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scheduler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ |= {
        "SPACES_ZERO_GPU": "true",
        "SPACES_ZERO_DEVICE_API_URL": f"http://127.0.0.1:{server.server_port}",
        "SPACE_ID": "owner/space",
        "ZEROGPU_OFFLOAD_DIR": os.environ["TMPDIR"],
    }


def started_badly() -> bool:
    """Whether the card was in use before the fork; there is none."""
    return False


def no_card(spaces) -> None:
    """Leave the emulation on in the workers, and the tensors where they are."""
    from spaces.zero import torch as emulation
    from spaces.zero import wrappers

    for name in ("init", "move"):
        setattr(emulation, name, lambda *_, **__: None)
    emulation.unpatch = lambda: None
    emulation.size = lambda: 0
    wrappers.torch = emulation


def main() -> None:
    import torch

    if torch.version.cuda is None:  # a build for CPUs has not all that the package emulates
        torch.version.cuda = "12.8"
        torch._C._cuda_init = torch.cuda._is_in_bad_fork = started_badly
    start()
    from page.main import environment

    environment()
    from page.jobs import worker, zerogpu  # before torch

    no_card(zerogpu.spaces)
    from PIL import Image

    from inpaint import InpaintError, Request
    from page.jobs.current_model import current_model
    from page.jobs.events import Finished, Loading, Preview

    seen = {"active": zerogpu.ACTIVE}
    current_model.load("builtin")  # as page/main.py does, in the main thread
    model = current_model.painter.model
    seen["device"] = str(model.embed(["a cat"]).device)
    seen["in another thread"] = in_another_thread()

    def told(request, name="builtin") -> list:
        try:
            return list(worker.paint(name, [request]))
        except InpaintError as error:
            return [error]

    picture, mask = Image.new("RGB", (64, 64), (9, 99, 9)), Image.new("L", (64, 64), 255)
    current_model.painter = Pretending()  # the emulation is slow, and not what is looked at here
    sound = Request("x", picture, mask, steps=4, seed=1)
    events = told(sound)
    seen["events"] = [type(event).__name__ for event in events]
    seen["kept"] = [event.kept is not None for event in events if isinstance(event, Preview)]
    seen["seed"] = [event.result.seeds for event in events if isinstance(event, Finished)]
    for prompt in ("nothing", "memory", "offline", "crash"):
        try:
            (error,) = [e for e in told(Request(prompt, picture, mask, seed=1)) if isinstance(e, Exception)]
            seen[prompt] = [type(error).__name__, str(error)]
        except Exception as error:
            seen[prompt] = [type(error).__name__, "not a sentence of ours"]
    asked_so_far = len(asked)
    seen["too long"] = str(told(Request("x", picture, mask, steps=150, count=8, seed=1))[-1])
    stream = worker.paint("builtin", [Request("slow", picture, mask, steps=100, seed=1)])
    seen["first"] = type(next(stream)).__name__
    stream.close()
    seen["after a cancel"] = type(told(sound)[-1]).__name__
    seen["asked"] = asked[:1] + asked[asked_so_far : asked_so_far + 1]
    dots = Image.new("L", (2000, 200))
    for n in range(6):
        dots.paste(255, (330 * n + 10, 80, 330 * n + 40, 110))
    islands = Request("x", Image.new("RGB", dots.size), dots, steps=10, islands=True)
    seen["islands"] = zerogpu.seconds("builtin", [islands])
    seen["another model"] = zerogpu.seconds("sd15", [sound])
    seen["loading is an event"] = isinstance(next(iter(current_model.switch_to("toy"))), Loading)
    print(json.dumps(seen))


def in_another_thread() -> str:
    """Where a tensor lands that is moved to the card in a thread of one's own: the emulation is not there."""
    import torch

    found = []

    def move():
        try:
            found.append(str(torch.zeros(1).to("cuda").device))
        except (RuntimeError, AssertionError) as error:
            found.append(type(error).__name__)

    thread = threading.Thread(target=move)
    thread.start()
    thread.join()
    return found[0]


class Pretending:
    """Paints as the browser's tests do, or raises what a prompt asks for; lives in the worker."""

    def stream(self, request, fills=False):
        from inpaint import InvalidRequest, ModelUnavailable, OutOfMemory
        from tests.browser.serve import Painter

        errors = {
            "nothing": InvalidRequest("mask", "Nothing is painted.", "Paint over what should change."),
            "memory": OutOfMemory("Too large.", "Take a smaller picture."),
            "offline": ModelUnavailable("It is not here.", "Go online."),
            "crash": ZeroDivisionError(),
        }
        if request.prompt in errors:
            raise errors[request.prompt]
        yield from Painter().stream(request)


if __name__ == "__main__":
    main()
