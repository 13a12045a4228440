"""Measure seconds to the page's first HTTP 200, to the command line's help, and for `import inpaint`.

python -m bench.startup [--runs 5] [--only page|help|import] [app.py's arguments …]
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from datetime import date

from .record import ROOT, arguments, machine, middle, table

BARE = "pass"  # measures the start of Python itself


def page(extra: list[str]) -> float:
    """Return the seconds until the page answers; the server is ended afterwards."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "app.py"), "--port", str(port), *extra],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
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


def whole(*command: str) -> float:
    """Return the seconds a Python process takes from start to end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def imported(extra: list[str]) -> float:
    """Return the seconds of `import inpaint` inside a running Python."""
    code = "import time; began = time.perf_counter(); import inpaint; print(time.perf_counter() - began)"
    return float(
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True).stdout
    )


KINDS = {
    "page": ("`python app.py` to HTTP 200", 2.5, page),
    "help": ("`python -m inpaint --help`", 0.3, lambda extra: whole("-m", "inpaint", "--help")),
    "import": ("`import inpaint`", 0.2, imported),
}


def main() -> None:
    parser = arguments(__doc__, runs=5)
    parser.add_argument("--only", choices=KINDS)
    given, extra = parser.parse_known_args()
    rows = []
    for kind in [given.only] if given.only else KINDS:
        name, goal, measure = KINDS[kind]
        taken = [measure(extra) for _ in range(given.runs)]
        rows.append([name, f"{middle(taken):.2f} s", f"{min(taken):.2f} s", f"{max(taken):.2f} s", f"< {goal} s"])
    bare = [whole("-c", BARE) for _ in range(given.runs)]
    rows.append(
        ["Python itself, for comparison", f"{middle(bare):.2f} s", f"{min(bare):.2f} s", f"{max(bare):.2f} s", ""]
    )
    print(f"{date.today()}, {machine()}; {given.runs} runs\n")
    print(table(["", "median", "best", "worst", "goal"], rows))


if __name__ == "__main__":
    main()
