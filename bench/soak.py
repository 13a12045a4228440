"""Let four visitors act at random for a while, and check that each gets their own pictures and no errors.

    python -m bench.soak [--minutes 20] [--visitors 4] [--seed 1] [--model NAME]

It uses a real browser (Debian's Chromium and Playwright) on the real page, by default with a simulated painter, so
that pictures come quickly; --model paints with a model.  After every action it checks whose picture is shown, whether
anything hangs, and whether the server or a script failed; every half minute it records the server's memory, threads
and files.  After a quarter of the time, and at the end, all visitors leave: their files must be removed then, and the
server's memory must be the same both times.  If anything is wrong it exits with status 1 and prints the fault with
the actions that led to it.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import httpx

from .record import ROOT, free_port, machine, process_memory, table
from .soak_visitor import Fault, Visitor, chromium

AWAY = 40  # seconds after which the server forgets a visitor who has left
EVERY = 30  # seconds between two measurements of the server
WARM = 0.25  # of the time: by then libraries are loaded and caches filled
GROWTH, THREADS, FILES = 1.25, 80, 400  # limits: growth of resident memory without visitors, threads, files


@dataclass
class Server:
    """A page that runs in its own process, with its own folder for files."""

    address: str
    process: subprocess.Popen
    folder: Path
    away: int

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def files(self, part: str = "") -> int:
        """Return the number of visitors' files."""
        return sum(path.is_file() for path in self.folder.glob(f"inpaint-*/files/{part}**/*"))

    def look(self) -> dict[str, int]:
        """Return the process's megabytes, threads and open files, and the number of visitors' files."""
        process = Path(f"/proc/{self.process.pid}")
        return {
            "MiB": process_memory("VmRSS", self.process.pid) >> 20,
            "threads": len(list((process / "task").iterdir())),
            "open": len(list((process / "fd").iterdir())),
            "files": self.files(),
        }

    def faults(self) -> list[str]:
        """Return the errors that the server itself logged."""
        if self.process.poll() is not None:
            return [f"the server ended with {self.process.returncode}: {self.log[-2000:]}"]
        return [f"the server logged {found[0]}" for found in re.finditer(r"Traceback[\s\S]{0,3000}", self.log)]


@contextmanager
def served(model: str = "", away: int = AWAY) -> Iterator[Server]:
    """Run a page until the block ends; departed visitors are forgotten after `away` seconds."""
    program = [str(ROOT / "app.py"), "--model", model] if model else [str(ROOT / "tests" / "browser" / "serve.py")]
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "log", "w") as log:
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, *program, "--port", str(port)],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": folder, "INPAINT_MAX_AWAY_SECONDS": str(away)},
        )
        server = Server(f"http://127.0.0.1:{port}", process, Path(folder), away)
        try:
            while process.poll() is None:
                try:
                    httpx.get(server.address, timeout=5)
                    break
                except httpx.HTTPError:
                    time.sleep(0.2)
            yield server
        finally:
            process.terminate()
            process.wait(60)


class Soak:
    """Visitors who act in random order.

    faults  sentences about everything that went wrong
    looks   (seconds, the actions so far and the server's measurements)
    rests   resident memory in MiB whenever all visitors had left and were forgotten
    """

    def __init__(self, server: Server, browser, visitors: int, seed: int):
        self.server, self.rng = server, random.Random(seed)
        self.visitors = [Visitor(k, browser, server.address, random.Random(seed * 1000 + k)) for k in range(visitors)]
        self.faults: list[str] = []
        self.looks: list[tuple[float, dict[str, int]]] = []
        self.rests: list[int] = []
        self.began = time.monotonic()
        self.done: Counter[str] = Counter()

    def run(self, seconds: float) -> None:
        """Act and check until the time is over or the server is broken; all leave in between and at the end."""
        for part in (WARM, 1 - WARM):
            end = time.monotonic() + part * seconds
            while time.monotonic() < end and len(self.faults) < 10:
                if not self.looks or time.monotonic() - self.began - self.looks[-1][0] >= EVERY:
                    self.look()
                self.act(self.rng.choice(self.visitors))
            self.look()
            self.leave()

    def look(self) -> dict[str, int]:
        """Record the actions so far and the server's measurements, and return these."""
        seen = self.server.look()
        self.looks.append((time.monotonic() - self.began, {"actions": self.done.total(), **seen}))
        return seen

    def act(self, visitor: Visitor) -> None:
        """Run one action of one visitor, and record it; after a fault the visitor starts again in a new tab."""
        try:
            self.done[visitor.act()] += 1
            visitor.check()
            wrong = self.server.faults()
        except Fault as fault:
            wrong = [str(fault)]
        if wrong:
            self.faults += [f"visitor {visitor.number} after {', '.join(visitor.past)}: {fault}" for fault in wrong]
            visitor.leave()

    def leave(self) -> None:
        """Close all tabs, and check that their files are removed after a while."""
        for visitor in self.visitors:
            visitor.leave()
        end = time.monotonic() + self.server.away + 20
        while (left := self.server.files("sessions/")) and time.monotonic() < end:
            time.sleep(0.5)
        if left:
            self.faults.append(f"{left} files of visitors who have left are still there")
        time.sleep(EVERY / 10)  # the sessions without files are forgotten at the same time, a moment later at most
        self.rests.append(self.look()["MiB"])

    def judge(self) -> None:
        """Add a fault if memory has grown since the warm-up, or there are too many threads or files."""
        first, last = self.rests[0], self.rests[-1]
        if last > GROWTH * first:
            self.faults.append(f"memory without visitors grew from {first} to {last} MiB")
        for name, limit in (("threads", THREADS), ("files", FILES)):
            if (worst := max(look[name] for _, look in self.looks)) > limit:
                self.faults.append(f"{worst} {name}, more than {limit}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--visitors", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="", help="paint with this model instead of the simulated painter")
    asked = parser.parse_args()
    with served(asked.model) as server, chromium() as browser:
        soak = Soak(server, browser, asked.visitors, asked.seed)
        soak.run(60 * asked.minutes)
        soak.judge()
        soak.faults += server.faults()
    print(
        f"{asked.visitors} visitors, {asked.minutes:g} minutes, seed {asked.seed}, {soak.done.total()} actions: "
        f"{', '.join(f'{name} {n}' for name, n in soak.done.most_common())}; {date.today()}, {machine()}\n"
    )
    names = list(soak.looks[0][1])
    rows = [[f"{at / 60:.1f}", *(look[n] for n in names)] for at, look in soak.looks]
    print(table(["minute", *names], rows))
    print("\n" + ("\n".join(soak.faults) if soak.faults else "Nothing was wrong."))
    sys.exit(bool(soak.faults))


if __name__ == "__main__":
    main()
