"""Run one case and judge it: a right result, one clear sentence, or a description of the fault."""

from __future__ import annotations

import gc
import re
import signal
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.record import process_memory
from inpaint import InpaintError

SECONDS, MEGABYTES, LONGEST = 5.0, 1536, 600  # of one case, of its own memory, characters of a sentence
LARGE = 12  # megapixels, as many as a public page takes …
MORE = 34  # … and MB that a picture has for each beyond them, beside a second
LEAKS = re.compile(r"Traceback|File \"|<class |0x[0-9a-f]{6,}|object at|\berrno\b|Errno", re.IGNORECASE)


class Verdict(NamedTuple):
    """`fault` is empty for a case that ended well; `refused` says that it ended with a sentence."""

    refused: str
    fault: str
    seconds: float
    megabytes: float


class Wrong(AssertionError):
    """A result that is not what was asked for."""


class TooLong(BaseException):
    """Raised inside a case that hangs; no handler of ours or a library's swallows it as an Exception."""


def judged(run: Callable[[], float | None], pid: int | str = "self", patience: int = 1) -> Verdict:
    """The verdict on `run`, which returns after a right result, or raises InpaintError or Wrong.

    `run` may return the megapixels of its picture: each beyond LARGE has a second and MORE MB.

    pid  the process that does the work, whose memory is watched; patience: how many times the usual time it has
    """
    refused, fault, size = "", "", 0.0
    gc.collect(0)
    before, began = fresh_peak(pid), time.perf_counter()
    try:
        with stopped_after(20 * SECONDS):
            size = run() or 0.0
    except InpaintError as error:
        refused = str(error)
        fault = unclear(refused)
    except Wrong as error:
        fault = str(error)
    except TooLong:
        fault = "hangs"
    except Exception as error:
        fault = f"{type(error).__name__}: {str(error)[:200]}{place(error)}"
    took, used = time.perf_counter() - began, peak(pid) - before
    more = max(0.0, size - LARGE)
    if took > patience * SECONDS + more:
        fault = fault or f"takes {took:.1f} s"
    if used > MEGABYTES + MORE * more:
        fault = fault or f"takes {used:.0f} MiB"
    return Verdict(refused, fault, took, used)


def unclear(sentence: str) -> str:
    """Return what is wrong with a sentence meant for a person; empty if it is clear."""
    if not sentence.strip() or len(sentence) > LONGEST:
        return f"a sentence of {len(sentence)} characters: {sentence[:80]!r}"
    if LEAKS.search(sentence):
        return f"shows the inside: {sentence[:200]!r}"
    if not all(c.isprintable() for c in sentence):
        return f"holds control characters: {sentence[:200]!r}"
    return "" if sentence.rstrip()[-1] in ".)…。" else f"no sentence: {sentence[:200]!r}"


def place(error: BaseException) -> str:
    """Return where in our own code it was raised."""
    trace, found = error.__traceback__, ""
    while trace:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.parent.name in ("inpaint", "page"):
            found = f" ({path.parent.name}/{path.name}:{trace.tb_lineno})"
        trace = trace.tb_next
    return found


@contextmanager
def stopped_after(seconds: float):
    """TooLong is raised in what runs longer; only in the main thread, where alarms arrive."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_):
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fresh_peak(pid: int | str = "self") -> float:
    """Resident MiB of a process now, where its peak is counted from anew (Linux; elsewhere 0)."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        return 0.0
    return _status("VmRSS", pid)


def peak(pid: int | str = "self") -> float:
    """The most resident MiB since `fresh_peak`."""
    return _status("VmHWM", pid)


def _status(name: str, pid: int | str) -> float:
    try:
        return process_memory(name, pid) / 2**20
    except OSError:
        return 0.0


def right(result, request) -> None:
    """Wrong unless the pictures have the right size and all that is not painted is the opened picture's."""
    if request.picture is None or request.article:  # the article's program keeps neither
        return
    before, kept = expected(request)
    for image in result.images:
        if image.size != before.size:
            raise Wrong(f"{image.size} where {before.size} was asked for")
        if (np.asarray(image.convert("RGB"))[kept] != np.asarray(before.rgb)[kept]).any():
            raise Wrong("pixels changed that were not painted")


def expected(request):
    """The picture on its canvas, and bool [H, W] where it must stay as it is."""
    from inpaint.pixels import expand, mask

    given, hole = request.picture, request.mask
    picture = expand.expand(given, request.expand) if request.expand else given
    if request.strength == 0 and request.fill != "patch":  # a fill is no walk
        return picture, np.ones(picture.size[::-1], bool)
    if hole is None and not request.mask_from_alpha and not request.expand:
        return picture, np.full(picture.size[::-1], request.strength == 0)
    changes = request.invert or request.mask_from_alpha or request.fill_holes or request.grow > 0
    if not changes and (hole is None or hole.size == given.size):  # black is kept: nothing of ours decides
        left, top = expand.sides(request.expand, given.size)[:2] if request.expand else (0, 0)
        kept = np.zeros(picture.size[::-1], bool)
        black = np.ones(given.size[::-1], bool) if hole is None else np.asarray(hole) == 0
        kept[top : top + given.size[1], left : left + given.size[0]] = black
        return picture, kept
    return picture, np.asarray(mask.prepare(given, request).painted.whole()) == 0
