"""Keep uploads and downloads in a folder that only this process uses, and remove it when the process ends.

A process that was killed cannot remove its folder; the next one to start does, since the lock is free then.
"""

from __future__ import annotations

import atexit
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX, LOCK = "inpaint-", "lock"


def private_folder() -> Path:
    """Make and return the folder, which is removed when the process ends; also remove those of ended processes."""
    parent = Path(tempfile.gettempdir())
    remove_abandoned(parent)
    home = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    lock = FileLock(home / LOCK)
    lock.acquire()
    atexit.register(_remove, home, lock)
    folder = home / "files"  # without the lock file, which Gradio would serve
    folder.mkdir()
    return folder


def remove_abandoned(parent: Path) -> None:
    """Remove the private folders of ended processes."""
    for home in parent.glob(f"{PREFIX}*"):
        lock = FileLock(home / LOCK, timeout=0)
        try:
            if not home.is_symlink() and (home / LOCK).is_file():
                lock.acquire()
                _remove(home, lock)
        except (Timeout, OSError):  # still in use, or another user's
            continue


def _remove(home: Path, lock: FileLock) -> None:
    lock.release()
    shutil.rmtree(home, ignore_errors=True)


def leave_on_signals() -> None:
    """Exit cleanly on Ctrl-C, SIGTERM, and when the terminal is closed, unless nohup ignores that."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: sys.exit(0))


__all__ = ["leave_on_signals", "private_folder", "remove_abandoned"]
