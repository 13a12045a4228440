"""Show the progress of a run on a terminal or in a log."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from ..models.hub import Progress as Download
    from ..pipeline.step import Step
    from ..result import Result

SPARSE = 10.0  # seconds between two lines of a log


class Progress:
    """Keep one line up to date on a terminal, or write a line now and then to a log."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = monotonic):
        self.stream, self.clock = stream, clock
        self.live = stream.isatty()
        self.start()

    def start(self, name: str = "") -> None:
        """Begin a new run; its lines begin with `name`."""
        self.name, self.began, self.last = f"{name}: " if name else "", self.clock(), -SPARSE
        self.first = self.began

    def __call__(self, step: Step) -> None:
        """Show that step `index` of `total` is done, and the time left."""
        now, done = self.clock(), step.index + 1
        if done == 1:
            self.first = now
        if not self.live and now - self.last < SPARSE and done < step.total:
            return
        self.last = now
        each = (now - self.first) / (done - 1) if done > 1 else now - self.began  # the first step includes encoding
        left = each * (step.total - done)
        self._write(f"{self.name}step {done} of {step.total}, {spoken(left)} left")

    def download(self, step: Download) -> None:
        """Show how much of a model has been downloaded."""
        now, whole = self.clock(), step.total is not None and step.done >= step.total
        if now - self.last < (0.2 if self.live else SPARSE) and not whole:
            return
        self.last = now
        of = f" of {_megabytes(step.total)}" if step.total else ""
        self._write(f"downloading {step.repo}: {_megabytes(step.done)}{of} MB")

    def clear(self) -> None:
        """Clear the line."""
        if self.live:
            self._write("", end="")

    def _write(self, text: str, end: str = "\n") -> None:
        self.stream.write(f"\r\x1b[K{text}" if self.live else text + end)
        self.stream.flush()


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.0f}"


def spoken(seconds: float) -> str:
    """Return a duration as people say it: 5 s, 3 min 20 s, 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def summary(result: Result) -> str:
    """Sum up a result in one line: seeds, steps, seconds, change outside the mask, seam."""
    report = result.report
    seconds = report.get("seconds", {}).get("total")
    steps = f"{report.get('steps', 0)} steps of {report.get('method')}" + (" each" if len(result.seeds) > 1 else "")
    if report.get("method") == "patch":
        steps = "filled from its surroundings"
    parts = [f"seed {', '.join(map(str, result.seeds))}", steps]
    parts += [f"in {spoken(seconds)}" if seconds >= 10 else f"in {seconds:.1f} s"] if seconds is not None else []
    if "max_change_outside" in report:
        parts.append(f"largest change outside the mask {report['max_change_outside']}")
        parts.append(f"seam {report['seam_score']} over {report['blend_width']} px")
    return ", ".join(parts)
