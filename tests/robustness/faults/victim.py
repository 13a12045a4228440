"""Run until a chosen moment, print "here" and wait to be killed.

    python -m tests.robustness.faults.victim FOLDER WHAT MOMENT

WHAT    png, jpeg, film: such a file is written over an earlier one; run, batch: the command line with the toy
MOMENT  half, fsync, replace, replaced; or a number: so many steps are done
"""

from __future__ import annotations

import builtins
import os
import sys
from pathlib import Path

from inpaint import Request, Result
from inpaint.files import writing

NAMES = {"png": "out.png", "jpeg": "out.jpg", "film": "out.webp", "run": "out.png"}


def here() -> None:
    """Print "here" and wait for the kill; without one, the program ends by itself."""
    print("here", flush=True)
    sys.stdin.read()
    os._exit(1)


class Half:
    """A file that first writes only half of what it is given."""

    def __init__(self, file):
        self.file = file

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, data):
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        here()


def stop_at(moment: str) -> None:
    """The moment at which the program waits to be killed."""
    replace = os.replace
    if moment == "half":
        writing.open = lambda *args: Half(builtins.open(*args))  # noqa: SIM115
    if moment == "fsync":
        os.fsync = lambda *_: here()
    if moment == "replace":
        os.replace = lambda *_: here()
    if moment == "replaced":
        os.replace = lambda *args: (replace(*args), here())
    if moment.isdecimal():
        from inpaint.cli.progress import Progress

        done = []
        Progress.__call__ = lambda *_: done.append(1) or (len(done) == int(moment) and here())


def picture(size: tuple[int, int] = (120, 90)):
    from PIL import Image

    return Image.linear_gradient("L").resize(size).convert("RGB")


def save(what: str, target: Path) -> None:
    """Such a file, whole; torch is not needed, so that many victims cost little."""
    from inpaint.files.film import save_film

    report = {"method": "base", "steps": 1, "seconds": {"total": 0.5}, "notes": []}
    result = Result((picture(),), Request("x", picture(), seed=1), report, {"name": "none", "fingerprint": "0"}, (1,))
    if what == "film":
        save_film(target, [picture(), result.image])
    else:
        result.save(target)


def main(folder: Path, what: str, moment: str) -> None:
    stop_at(moment)
    if what in ("run", "batch"):
        from inpaint.cli.main import main as command

        named = ["photo.png", "mask.png", "x"] if what == "run" else ["x", "--batch", "in", "--masks", "mask.png"]
        os.chdir(folder)
        sys.exit(
            command(
                [*named, "-o", "out.png" if what == "run" else "out", "--model", "toy", "--steps", "4", "--seed", "1"]
            )
        )
    save(what, folder / NAMES[what])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
