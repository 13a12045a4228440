"""Simulate fifty clients on one device, and measure whether each gets a picture or a queue position, in fair order.

    python -m bench.crowd [--clients 50] [--steps 10] [--leaving 5] [--queue 100] [--at-once] [app.py's arguments …]

The clients send their requests over HTTP on the loopback, each as soon as the server has answered the one before, or
all at once; some leave in the middle of their run.  The first crowd warms the server up (caches, thread pools, the
allocator's arenas); the later ones are measured, and memory is compared between them.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path

import httpx

from .record import ROOT, arguments, machine, middle, process_memory, table

EXAMPLE = ROOT / "assets" / "examples" / "wren"
PREFIX = "/gradio_api"


@dataclass
class Seen:
    """The observations of one client; times in seconds since the crowd began, None for events that never came."""

    number: int
    asked: float = 0.0
    first: float | None = None  # first preview
    done: float | None = None
    previews: int = 0
    places: list[int] = field(default_factory=list)
    error: str = ""
    left: bool = False
    right: bool = False  # the result is this client's own
    heard: asyncio.Event = field(default_factory=asyncio.Event)


async def crowd(
    address: str,
    clients: int,
    *,
    leaving: int = 0,
    steps: int = 10,
    prompt: str = "",
    files: tuple[Path, Path] | None = None,
    at_once: bool = False,
) -> list[Seen]:
    """Return what each client observed; the first `leaving` clients leave after their first preview."""
    seen, began = [Seen(n) for n in range(clients)], time.perf_counter()
    pair = files or (Path(f"{EXAMPLE}.jpg"), Path(f"{EXAMPLE}-mask.png"))
    separate = httpx.Limits(max_connections=None, max_keepalive_connections=0)  # like many browsers, not like one
    async with httpx.AsyncClient(base_url=address, timeout=600, limits=separate) as http:

        async def run(client: Seen) -> None:
            try:
                picture, mask = [await uploaded(http, path) for path in pair]
                if client.number and not at_once:
                    await seen[client.number - 1].heard.wait()
                settings = json.dumps({"steps": steps, "seed": client.number})
                await follow(http, client, [picture, mask, prompt, settings, ""], client.number < leaving, began)
            except httpx.HTTPError as error:
                client.error = f"the connection: {type(error).__name__}"  # counts as lost
            finally:
                client.heard.set()

        await asyncio.gather(*map(run, seen))
    return seen


async def uploaded(http: httpx.AsyncClient, path: Path) -> dict:
    answer = await http.post(f"{PREFIX}/upload", files={"files": (path.name, path.read_bytes())})
    return {"path": answer.raise_for_status().json()[0], "meta": {"_type": "gradio.FileData"}}


async def follow(http: httpx.AsyncClient, client: Seen, data: list, leave: bool, began: float) -> None:
    """Send a request, and listen until it ends or, if this client leaves, until the first preview."""
    client.asked = time.perf_counter() - began
    asked = await http.post(f"{PREFIX}/call/inpaint", json={"data": data})
    if asked.status_code != 200:
        client.error = asked.text
        return
    async with http.stream("GET", f"{PREFIX}/call/inpaint/{asked.json()['event_id']}") as lines:
        kind = ""
        async for line in lines.aiter_lines():
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: ") and kind in ("generating", "complete", "error"):
                record_message(client, kind, json.loads(line[6:]), time.perf_counter() - began)
                client.heard.set()
                if leave and client.first is not None:
                    client.left = True
                    return


def record_message(client: Seen, kind: str, message, now: float) -> None:
    """Record one message of the server."""
    if kind == "error":
        client.error = str(message.get("error") if isinstance(message, dict) else message) or "an error without words"
        return
    files, report = message[0], json.loads(message[1])
    if report["state"] == "waiting":
        client.places.append(report["place"])
    elif report["state"] == "step" and files:
        client.previews += 1
        client.first = now if client.first is None else client.first
    elif report["state"] == "done":
        client.first, client.done = now if client.first is None else client.first, now
        client.right = report["seed"] == client.number


def overtaken(seen: list[Seen]) -> list[int]:
    """Return, for each served client in order of asking, how many later ones began before it."""
    served = sorted((client for client in seen if client.first is not None), key=lambda client: client.asked)
    return [sum(other.first < client.first for other in served[n + 1 :]) for n, client in enumerate(served)]


def turns(seen: list[Seen]) -> list[float]:
    """Return the seconds from the end of each job to the first preview of the next one, if that was waiting."""
    served = sorted((client for client in seen if client.first is not None), key=lambda client: client.first)
    pairs = [(before.done, client) for before, client in pairwise(served) if before.done is not None]
    return [client.first - ended for ended, client in pairs if client.asked < ended <= client.first]


def percentile(values: list[float], part: float) -> float:
    values = sorted(values)
    return values[min(len(values) - 1, int(part * len(values)))] if values else 0.0


def row(seen: list[Seen]) -> dict[str, object]:
    """Return the table's columns for one crowd."""
    done, refused = [client for client in seen if client.right], [client for client in seen if client.error]
    waits = [client.first - client.asked for client in seen if client.first is not None]
    ends, late = [client.done for client in done], overtaken(seen)
    with_position, left = sum("number" in client.error for client in refused), sum(client.left for client in seen)
    return {
        "finished": len(done),
        "refused, with the queue's length": with_position,
        "left": left,
        "lost": len(seen) - len(done) - with_position - left,
        "wall": f"{max(ends, default=0):.1f} s",
        "wait p50 / p95": f"{percentile(waits, 0.5):.1f} / {percentile(waits, 0.95):.1f} s",
        "first preview after its turn, p95": f"{1000 * percentile(turns(seen), 0.95):.0f} ms",
        "previews a job": f"{middle([client.previews for client in done] or [0]):.0f}",
        "overtaken by others": f"{sum(n > 0 for n in late)} jobs, at most by {max(late, default=0)}",
    }


def megabytes(pid: int) -> float:
    """Return a process's resident memory in MiB (Linux)."""
    return process_memory("VmRSS", pid) / 2**20


@contextmanager
def served(extra: list[str], queue: int):
    """Run app.py until the block ends; yield its address and process id."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "--port", str(port), *extra],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "INPAINT_MAX_QUEUE": str(queue)},
    )
    try:
        while process.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{port}/", timeout=5)
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(30)


def main() -> None:
    parser = arguments(__doc__, runs=2)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--leaving", type=int, default=5, help="how many leave after their first preview (5)")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--queue", type=int, default=100, help="the longest queue that the server allows (100)")
    parser.add_argument("--at-once", action="store_true", help="send all requests at the same time")
    asked, extra = parser.parse_known_args()
    rows = []
    with served(extra, asked.queue) as (address, pid):
        for run in range(asked.runs + 1):
            before = megabytes(pid)
            seen = asyncio.run(
                crowd(address, asked.clients, leaving=asked.leaving, steps=asked.steps, at_once=asked.at_once)
            )
            time.sleep(2)  # some memory is freed late
            if run:
                after = megabytes(pid)
                rows.append(
                    {
                        "crowd": run,
                        **row(seen),
                        "memory": f"{before:.0f} → {after:.0f} MiB ({100 * (after / before - 1):+.1f} %)",
                    }
                )
    print(
        f"{asked.clients} clients, a queue of at most {asked.queue}, {asked.steps} steps each; "
        f"{date.today()}, {machine()}\n"
    )
    print(table(list(rows[0]), [list(each.values()) for each in rows]))


if __name__ == "__main__":
    main()
