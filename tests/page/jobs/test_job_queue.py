"""Check the queue: one job at a time, order, positions, cancelling, errors."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from page.jobs.events import Stopped, Waiting
from page.jobs.job_queue import CancelToken, JobQueue, QueuedJob, QueueFull


def alone(coroutine):
    """Its result, in a thread without an event loop: the browser's tests may have one running in this."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def everything(queue, work, cancel=None, after=None):
    """All events of one job; `after(events)` is called after each."""

    async def collect():
        events = []
        async for event in queue.run(work, cancel=cancel):
            events.append(event)
            if after:
                after(events)
        return events

    return alone(collect())


def test_one_after_the_other_and_everybody_knows_the_position():
    queue, at_work, worst = JobQueue(), [], []

    def work():
        at_work.append(1)
        worst.append(len(at_work))
        yield from range(3)
        at_work.pop()

    async def crowd():
        async def one():
            return [event async for event in queue.run(work)]

        return await asyncio.gather(*(one() for _ in range(8)))

    for events in alone(crowd()):
        assert [event for event in events if not isinstance(event, Waiting)] == [0, 1, 2]
        positions = [event.position for event in events if isinstance(event, Waiting)]
        assert positions == sorted(positions, reverse=True)
    assert max(worst) == 1 and queue.idle


class Endless:
    """Work that continues until it is stopped."""

    def __init__(self):
        self.seen, self.closed, self.gate = [], threading.Event(), threading.Semaphore(1)

    def __call__(self):
        try:
            while self.gate.acquire(timeout=20):
                self.seen.append(1)
                yield len(self.seen)
        finally:
            self.closed.set()


def test_cancel_stops_within_one_step_and_the_next_one_runs():
    queue, work, token = JobQueue(), Endless(), CancelToken()

    def stop_after_two(events):
        if len(events) == 2:
            token.cancel()
        work.gate.release()

    events = everything(queue, work, token, stop_after_two)
    assert events[-1] == Stopped() and work.closed.wait(5) and len(work.seen) <= 4
    assert everything(queue, lambda: iter("ab")) == ["a", "b"]


def test_a_token_cancelled_between_two_jobs_stops_the_next_one_before_it_begins():
    """Cancel is pressed while a batch opens or saves a picture: there is no job then, and it counts all the same."""
    queue, token, worked = JobQueue(), CancelToken(), []
    assert everything(queue, lambda: iter("a"), token) == ["a"]
    token.cancel()
    assert everything(queue, lambda: iter(worked.append(1) or "b"), token) == [Stopped()] and not worked


def test_cancelling_one_token_leaves_the_others_alone():
    queue, mine, other = JobQueue(), CancelToken(), CancelToken()
    running, held = threading.Event(), threading.Event()

    def work():
        running.set()
        assert held.wait(20)
        yield 1

    async def both():
        first = asyncio.create_task(collected(queue.run(work, cancel=other)))
        await asyncio.to_thread(running.wait, 20)
        second = asyncio.create_task(collected(queue.run(lambda: iter([2]), cancel=mine)))
        while not queue.waiting:
            await asyncio.sleep(0)
        mine.cancel()
        told = await second
        held.set()
        return await first, told

    assert alone(both()) == ([1], [Waiting(1), Stopped()])


async def collected(events) -> list:
    return [event async for event in events]


def test_leaving_stops_the_work():
    queue, work = JobQueue(), Endless()
    work.gate = threading.Semaphore(10**6)

    async def leave():
        async for _ in queue.run(work):
            break

    alone(leave())
    assert work.closed.wait(5)


def test_the_queue_has_an_end_and_errors_come_through():
    queue, held, at_work = JobQueue(longest=1), threading.Event(), threading.Event()

    def work():
        at_work.set()
        held.wait(20)
        yield 1

    queue.submit(QueuedJob(work))
    assert at_work.wait(5)
    queue.submit(QueuedJob(work))
    with pytest.raises(QueueFull) as full:
        queue.submit(QueuedJob(work))
    assert full.value.position == 2
    held.set()

    def broken():
        yield 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        everything(JobQueue(), broken)


def test_one_address_has_its_share():
    queue, held, at_work = JobQueue(longest=9, share=1), threading.Event(), threading.Event()

    def work():
        at_work.set()
        held.wait(20)
        yield 1

    queue.submit(QueuedJob(work))
    assert at_work.wait(5)
    queue.submit(QueuedJob(work, address="1.1.1.1"))
    queue.submit(QueuedJob(work, address="2.2.2.2"))
    with pytest.raises(QueueFull):
        queue.submit(QueuedJob(work, address="1.1.1.1"))
    held.set()


def test_the_error_of_a_job_that_nobody_follows_is_logged(caplog):
    done = threading.Event()

    def work():
        yield 1
        raise RuntimeError("the page's own model is gone")

    queue = JobQueue()
    queue.submit(QueuedJob(work))
    queue.submit(QueuedJob(lambda: iter([done.set()])))
    assert done.wait(5) and "the page's own model is gone" in caplog.text


def test_a_job_that_gives_way_is_stopped_by_the_next_one_and_counts_for_nobody():
    queue, begun, ended = JobQueue(), threading.Event(), threading.Event()

    def idle():
        try:
            while True:
                begun.set()
                yield ended.wait(0.01)
        finally:
            ended.set()

    queue.submit(QueuedJob(idle, way=True))
    assert begun.wait(20)
    assert everything(queue, lambda: iter("ab")) == ["a", "b"] and ended.is_set()
