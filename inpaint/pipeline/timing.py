"""Measure how long each stage of a run takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any


class Timing:
    """A stopwatch: the seconds of each stage, and the total since it was made."""

    def __init__(self):
        self.began, self.stages = perf_counter(), {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the body of `with timing.stage("decode"):` and add its seconds to that stage."""
        clock = perf_counter()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + perf_counter() - clock

    def each(self, name: str, steps: Iterable[Any]) -> Iterator[Any]:
        """Yield the steps as they come, and add the time each takes to that stage."""
        steps, end = iter(steps), object()
        while True:
            with self.stage(name):
                step = next(steps, end)
            if step is end:
                return
            yield step

    def total(self) -> float:
        return perf_counter() - self.began

    def rounded(self) -> dict[str, float]:
        """Return the seconds of every stage and the total for a report, rounded to tenths of milliseconds."""
        return {name: round(seconds, 4) for name, seconds in {**self.stages, "total": self.total()}.items()}
