"""Seconds from `python app.py` to the page's first HTTP 200, several times; the target is 2.5 on two cores.

    python bench/startup.py [times] [app.py's arguments …]
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def once(arguments: list[str]) -> float:
    """Seconds until the page answers; the server is ended afterwards."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, str(ROOT / "app.py"), "--port", str(port), *arguments],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                    if answer.status == 200:
                        return time.perf_counter() - began
            except OSError:
                time.sleep(0.01)
        raise SystemExit("app.py ended before it answered")
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    taken = [once(sys.argv[2:]) for _ in range(times)]
    print("seconds to HTTP 200:", " ".join(f"{t:.2f}" for t in taken), f"  best {min(taken):.2f}")
