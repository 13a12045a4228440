"""Run one job at a time, in one thread, and report to the waiting ones their positions in the queue.

Gradio frees its own queue's slot as soon as a job is cancelled, before the current step has ended; this queue waits
for that, so that two jobs never share a device.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from .events import Event, Stopped, Waiting

log = logging.getLogger("inpaint.page")
Work = Callable[[], Iterator[Event]]


class QueueFull(Exception):
    """Raised if the queue, or one address's share of it, is full; `position` is the one the job would have had."""

    def __init__(self, position: int):
        super().__init__(position)
        self.position = position


@dataclass(frozen=True, slots=True)
class _Ended:
    """The last message of a job that was not stopped; `error` is its error, if any."""

    error: Exception | None = None


class CancelToken:
    """Cancel the jobs of one press of a button, including those that it has not queued yet.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop: Callable[[], None] | None = None
        self.cancelled = False

    def cancel(self) -> None:
        """Cancel the running job, and every later one before it begins."""
        with self._lock:
            self.cancelled, stop = True, self._stop
        if stop:
            stop()

    @contextmanager
    def calls(self, stop: Callable[[], None]) -> Iterator[None]:
        """Call `stop` if `cancel` is called while the block runs, or was called before."""
        with self._lock:
            self._stop = stop
            cancelled = self.cancelled
        if cancelled:
            stop()
        try:
            yield
        finally:
            with self._lock:
                self._stop = None


class QueuedJob:
    """One job: its work, its stop flag, the queue of its events, and its client's address.

    With `way` it is stopped as soon as another job comes.
    """

    def __init__(
        self, work: Work, loop: asyncio.AbstractEventLoop | None = None, address: str = "", *, way: bool = False
    ):
        self.work, self.loop, self.address, self.stop = work, loop, address, threading.Event()
        self.way = way
        self.context = contextvars.copy_context()
        self.messages: asyncio.Queue[Event | _Ended] = asyncio.Queue()

    def send(self, message: Event | _Ended) -> None:
        """Send an event, from any thread, to the coroutine that runs the job; without one, log only errors."""
        if self.loop is None:
            if isinstance(message, _Ended) and message.error is not None:
                log.warning("%s", message.error)
            return
        with suppress(RuntimeError):  # the event loop may just be closing
            self.loop.call_soon_threadsafe(self.messages.put_nowait, message)


class JobQueue:
    """Queue jobs: `async for event in queue.run(work)` yields `Waiting`, then the work's events, or `Stopped`."""

    def __init__(self, longest: int = 100, share: int = 100):
        """Let at most `longest` jobs wait, and at most `share` of one address, so that nobody fills the queue."""
        self.longest, self.share, self.waiting, self.changed = (
            longest,
            share,
            deque[QueuedJob](),
            threading.Condition(),
        )
        self.current: QueuedJob | None = None
        threading.Thread(target=self._serve, name="jobs", daemon=True).start()

    @property
    def idle(self) -> bool:
        """Return whether no job runs or waits."""
        with self.changed:
            return self.current is None and not self.waiting

    async def run(self, work: Work, *, address: str = "", cancel: CancelToken | None = None) -> AsyncIterator[Event]:
        """Yield the events of the work until it ends; raise QueueFull, or the work's own error.

        Closing this iterator, or `cancel.cancel()`, stops the work within one step.
        """
        job = QueuedJob(work, asyncio.get_running_loop(), address)
        self.submit(job)
        with (cancel or CancelToken()).calls(lambda: self.cancel(job)):
            try:
                while True:
                    match await job.messages.get():
                        case _Ended(error):
                            if error is not None:
                                raise error
                            return
                        case Stopped() as event:
                            yield event
                            return
                        case event:
                            yield event
            finally:
                self.cancel(job)  # does not wait, since this may run on the event loop

    def submit(self, job: QueuedJob) -> None:
        """Add the job to the end of the queue; raise QueueFull."""
        with self.changed:
            others = [other for other in (self.current, *self.waiting) if other is not None]
            ahead = sum(not other.way for other in others)
            for other in others:
                if other.way:
                    other.stop.set()
            own = sum(other.address == job.address for other in self.waiting) if job.address else 0
            if len(self.waiting) >= self.longest or own >= self.share:
                raise QueueFull(ahead)
            self.waiting.append(job)
            self.changed.notify()
        if ahead:
            job.send(Waiting(ahead))

    def cancel(self, job: QueuedJob) -> None:
        """Remove the job from the queue at once, or stop it within one step if it runs."""
        job.stop.set()
        with self.changed:
            if job in self.waiting:
                self.waiting.remove(job)
                job.send(Stopped())
                self._tell_positions()

    def _tell_positions(self) -> None:
        for position, job in enumerate(self.waiting, 1):
            job.send(Waiting(position))

    def _serve(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.waiting)
                self.current = self.waiting.popleft()
                self._tell_positions()
            try:
                self.current.context.run(_work, self.current)
            finally:
                with self.changed:
                    self.current = None


def _work(job: QueuedJob) -> None:
    """Run the job to its end, or to the first event after its stop flag is set."""
    try:
        events = job.work() if not job.stop.is_set() else iter(())
        for event in events:
            if job.stop.is_set():
                job.send(Stopped())  # before the clean-up, which may take a while
                if isinstance(events, Generator):
                    events.close()
                return
            job.send(event)
        job.send(Stopped() if job.stop.is_set() else _Ended())
    except BaseException as error:  # even SystemExit from a library must not stop the queue
        if not isinstance(error, Exception):
            error = RuntimeError(f"the work ended with {type(error).__name__}")
        job.send(Stopped() if job.stop.is_set() else _Ended(error))
