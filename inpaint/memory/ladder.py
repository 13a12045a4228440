"""What is done when memory runs out: the model goes down a rung and the work begins anew, until it fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import policy


class Ladder:
    """`model.relieve()` is one rung; what it says of itself goes into `notes`."""

    def __init__(self, model, notes: list[str]):
        self.model, self.notes = model, notes

    def within(self, work: Callable[[], Any]) -> Any:
        """What `work` gives, tried again a rung lower each time memory runs out; OutOfMemory at the foot."""
        while True:
            try:
                return work()
            except Exception as error:
                self.down(error)

    def down(self, error: Exception) -> None:
        """One rung down after out-of-memory; at the foot of the ladder, and after any other error, raises."""
        if not policy.is_out_of_memory(error):
            raise error
        error.__traceback__ = None  # its frames hold what did not fit
        self.model.free()
        note = self.model.relieve()
        if note is None:
            raise policy.too_much() from error
        self.notes.append(note)
