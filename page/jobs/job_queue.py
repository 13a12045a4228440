"""The desk: one thread at which one job at a time meets the model; the rest stand in line and know their place.

Gradio frees its own queue slot as soon as a job is cancelled, before the step under way has ended; this line is what
keeps two jobs from sharing a device.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

Work = Callable[[], Iterator[Any]]


class Busy(Exception):
    """The line, or one address's part of it, is as long as it may be; `place` is what this job's would have been."""

    def __init__(self, place: int):
        super().__init__(place)
        self.place = place


class Task:
    """One job in line: its work, its stop flag, the way back to whoever waits for it, and from where they asked."""

    def __init__(self, work: Work, loop: asyncio.AbstractEventLoop | None = None, address: str = ""):
        self.work, self.loop, self.address, self.stop = work, loop, address, threading.Event()
        self.context = contextvars.copy_context()
        self.events: asyncio.Queue = asyncio.Queue()

    def tell(self, kind: str, value: Any = None) -> None:
        """From any thread to the waiting side; silent when nobody waits any more."""
        if self.loop is not None:
            with suppress(RuntimeError):  # the loop is closed, perhaps this moment: the desk goes on
                self.loop.call_soon_threadsafe(self.events.put_nowait, (kind, value))


class Desk:
    """`async for kind, value in desk.run(work)`: ("place", n), ("event", what the work yields), ("stopped", None)."""

    def __init__(self, longest: int = 100, share: int = 100):
        """At most `longest` jobs wait, and at most `share` of one address, so that nobody fills the line alone."""
        self.longest, self.share, self.line, self.changed = longest, share, deque(), threading.Condition()
        self.current: Task | None = None
        threading.Thread(target=self._serve, name="desk", daemon=True).start()

    async def run(
        self, work: Work, started: Callable[[Task], None] | None = None, address: str = ""
    ) -> AsyncIterator[tuple[str, Any]]:
        """What happens to the work until it is over; closing this iterator stops the work within one step."""
        task = Task(work, asyncio.get_running_loop(), address)
        if started:
            started(task)
        self.join(task)
        try:
            while True:
                kind, value = await task.events.get()
                if kind == "error":
                    raise value
                if kind == "done":
                    return
                yield kind, value
                if kind == "stopped":
                    return
        finally:
            self.cancel(task)  # never waits: this may run on the event loop

    def join(self, task: Task) -> None:
        """Stands in line; raises Busy."""
        with self.changed:
            ahead = len(self.line) + (self.current is not None)
            own = sum(waiting.address == task.address for waiting in self.line) if task.address else 0
            if len(self.line) >= self.longest or own >= self.share:
                raise Busy(ahead)
            self.line.append(task)
            self.changed.notify()
        if ahead:
            task.tell("place", ahead)

    def cancel(self, task: Task) -> None:
        """Out of the line at once, or stopped within one step if it is being served."""
        task.stop.set()
        with self.changed:
            if task in self.line:
                self.line.remove(task)
                task.tell("stopped")
                self._places()

    def _places(self) -> None:
        for n, waiting in enumerate(self.line, 1):
            waiting.tell("place", n)

    def _serve(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.line)
                self.current = self.line.popleft()
                self._places()
            try:
                self.current.context.run(_work, self.current)
            finally:
                with self.changed:
                    self.current = None


def _work(task: Task) -> None:
    """The work to its end, or to its first breath after the stop flag is up."""
    try:
        events = task.work() if not task.stop.is_set() else iter(())
        for event in events:
            if task.stop.is_set():
                task.tell("stopped")  # before the tidying up, which may take a while
                events.close()
                return
            task.tell("event", event)
        task.tell("stopped" if task.stop.is_set() else "done")
    except BaseException as error:  # also a library's SystemExit: the desk serves the next one
        if not isinstance(error, Exception):
            error = RuntimeError(f"the work ended with {type(error).__name__}")
        task.tell("stopped" if task.stop.is_set() else "error", error)
