"""Twenty clients in line, five of them leaving mid-run: do all others finish, and does the memory come back?

    python bench/crowd.py [app.py's arguments …]

Runs one crowd to warm up (caches, thread pools, the allocator's arenas), then measures a second one.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from gradio_client import Client, handle_file

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "assets" / "examples" / "wren"


def megabytes(pid: int) -> float:
    """Resident memory of a process, MiB (Linux)."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def crowd(address: str, folder: str, clients: int = 20, leaving: int = 5) -> tuple[int, float]:
    """How many got their picture, and the seconds it took."""
    files = handle_file(f"{EXAMPLE}.jpg"), handle_file(f"{EXAMPLE}-mask.png")
    began, jobs = time.perf_counter(), []
    for n in range(clients):
        client = Client(address, verbose=False, download_files=folder)
        jobs.append(client.submit(*files, "", json.dumps({"steps": 10, "seed": n}), api_name="/inpaint"))
    while not jobs[0].outputs():
        time.sleep(0.02)
    for job in jobs[:leaving]:
        job.cancel()
    done = sum(json.loads(job.result(timeout=600)[1])["seed"] == n for n, job in enumerate(jobs[leaving:], leaving))
    return done, time.perf_counter() - began


def main() -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(ROOT / "app.py"), "--port", str(port), *sys.argv[1:]],
                               stdout=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        with tempfile.TemporaryDirectory() as folder:
            crowd(address, folder)
            time.sleep(3)
            before = megabytes(process.pid)
            done, seconds = crowd(address, folder)
            time.sleep(3)
            after = megabytes(process.pid)
        print(f"{done} of 15 finished in {seconds:.1f} s; memory {before:.0f} -> {after:.0f} MiB "
              f"({100 * (after / before - 1):+.1f} %)")
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
