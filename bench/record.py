"""Provide helpers for the benchmarks: the machine's name, medians, and tables filled over several sessions.

Each row is written to a JSON file (`--into`) as soon as it is measured, so an interrupted run can continue.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent


def machine() -> str:
    """Return the processor, the number of usable cores, and the versions that matter."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:
            name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{cores} cores of {name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def process_memory(name: str, pid: int | str = "self") -> int:
    """Return the bytes that Linux reports for a process.

    name  VmRSS, in memory now; VmHWM, its peak; RssAnon, the part not mapped from files
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def free_port() -> int:
    """Return a port of the loopback that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Rows:
    """The rows of a table by name; `once` measures a missing row and stores it."""

    def __init__(self, into: Path | None, table: str):
        self.into, self.table = into, table
        self.all = json.loads(into.read_text()) if into and into.is_file() else {}
        self.rows: dict[str, dict] = self.all.setdefault(table, {})

    def once(self, name: str, measure: Callable[[], dict]) -> dict:
        """Return the row of that name, measured now unless it is stored."""
        if name not in self.rows:
            self.rows[name] = {**measure(), "date": str(date.today())}
            self.save()
        return self.rows[name]

    def save(self) -> None:
        if self.into:
            self.into.parent.mkdir(parents=True, exist_ok=True)
            self.into.write_text(json.dumps(self.all, indent=1, ensure_ascii=False) + "\n")


def alone(module: str, *arguments) -> dict:
    """Run `python -m bench.MODULE ARGUMENTS…` in its own process; return the JSON in its last line."""
    command = [sys.executable, "-W", "ignore", "-m", f"bench.{module}", *map(str, arguments)]
    return json.loads(
        subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout.splitlines()[-1]
    )


def table(head: list[str], rows: list[list]) -> str:
    """Return the table as Markdown."""
    lines = [head, ["---"] * len(head), *[[str(cell) for cell in row] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def arguments(doc: str, *, runs: int, **more) -> argparse.ArgumentParser:
    """Return a parser with the options that every script has; `more` sets other defaults."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=runs, help=f"runs of each kind; the median is shown ({runs})")
    parser.add_argument("--into", type=Path, help="a JSON file of rows; rows stored there are not measured again")
    parser.set_defaults(**more)
    return parser


def middle(values) -> float:
    """Return the median."""
    return float(median(values))
