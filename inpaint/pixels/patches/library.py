"""Ask the PatchMatch library, which runs in a process of its own, to fill small pictures."""

from __future__ import annotations

import atexit
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import numpy as np

from .library_process import HEADER

PROGRAM = Path(__file__).with_name("library_process.py")
POLL = 0.03  # seconds between two looks at whether the answer is there
RADIUS = 5  # of its patches, in pixels; 3 loses structure, 7 takes twice the time


class LibraryFailed(Exception):
    """Raised if the library is not installed, or its process has ended."""


class Library:
    """One helper process, started when it is first asked, and started again after it has ended."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.lock = threading.Lock()
        atexit.register(self.close)

    def start(self) -> None:
        """Start the process if it does not run; importing what it needs takes it a quarter of a second."""
        with self.lock:
            self._started()

    def fill(
        self, rgb: np.ndarray, hole: np.ndarray, avoid: np.ndarray, seed: int
    ) -> Generator[None, None, np.ndarray]:
        """Return uint8 [H, W, 3] with the hole (bool [H, W]) filled; yield while the process is at work.

        Closing the generator kills the process.  Raises LibraryFailed.
        """
        with self.lock:
            process = self._started()
            answer: list[bytes] = []
            talk = threading.Thread(target=_talk, args=(process, rgb, hole, avoid, seed, answer), daemon=True)
            talk.start()
            try:
                while talk.is_alive():
                    talk.join(POLL)
                    if talk.is_alive():
                        yield
            finally:
                if talk.is_alive():
                    self._end()
                    talk.join()
            if not answer or len(answer[0]) != rgb.size:
                self._end()
                raise LibraryFailed
            return np.frombuffer(answer[0], np.uint8).reshape(rgb.shape)

    def close(self) -> None:
        """End the process."""
        with self.lock:
            self._end()

    def _started(self) -> subprocess.Popen[bytes]:
        if self.process is None or self.process.poll() is not None:
            hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
            try:
                self.process = subprocess.Popen(
                    [sys.executable, "-P", str(PROGRAM)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    creationflags=hidden,
                )
            except OSError as error:
                raise LibraryFailed from error
        return self.process

    def _end(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                try:
                    if pipe:
                        pipe.close()
                except OSError:
                    pass  # what could not be sent is lost with the process


def _talk(process, rgb, hole, avoid, seed: int, answer: list[bytes]) -> None:
    """Send one problem and append the bytes of its answer; nothing if the process ends."""
    try:
        process.stdin.write(HEADER.pack(*hole.shape, RADIUS, seed % 2**31))
        for part in (rgb, hole, avoid):
            process.stdin.write(np.ascontiguousarray(part, np.uint8).tobytes())
        process.stdin.flush()
        answer.append(process.stdout.read(rgb.size))
    except (OSError, ValueError):
        pass  # the pipe is closed: there is no answer


def fill_each(
    rgb: np.ndarray, hole: np.ndarray, avoid: np.ndarray, seeds: tuple[int, ...]
) -> Generator[None, None, list[np.ndarray]]:
    """Return the picture filled with each seed, each in a process of its own; yield while they are at work.

    Closing the generator kills the processes.  Raises LibraryFailed.
    """
    work = [one.fill(rgb, hole, avoid, seed) for one, seed in zip(libraries, seeds, strict=False)]
    answers: dict[int, np.ndarray] = {}
    try:
        while len(answers) < len(work):
            for k, each in enumerate(work):
                if k not in answers:
                    try:
                        next(each)
                    except StopIteration as end:
                        answers[k] = end.value
            yield
    finally:
        for each in work:
            each.close()
    return [answers[k] for k in range(len(work))]


libraries = [Library(), Library()]  # on two processors both work at once
