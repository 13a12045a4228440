"""The studio: jobs that turn requests into previews and results.  Everything here runs on the desk's thread."""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from inpaint import Result

from .current_model import painters
from .zerogpu import PRESENT, gpu, seconds

SIDE = 512  # previews' long side, pixels
PAUSE = 0.2  # at most five previews a second …
COST = 0.02  # … and at most this part of the run's time spent on them


@dataclass(frozen=True, slots=True)
class Shown:
    """A step as the page needs it; `live` is the step itself where it can be kept (not across processes)."""

    index: int
    total: int
    seconds: float  # since the job began
    jpeg: bytes | None
    live: Any = None

    def still(self) -> Shown:
        """The same as a mere picture."""
        if self.live is None:
            return self
        return replace(self, jpeg=self.jpeg or encoded(self.live.preview(SIDE), 80), live=None)


def requests_for(request, method: str) -> list:
    """One request, or the two that `compare` asks for, on the same noise."""
    if request.seed == -1:
        request = replace(request, seed=random.SystemRandom().randrange(2**32))
    if method != "compare":
        return [request]
    return [replace(request, method="base"), replace(request, method="inpaint")]


@gpu(duration=seconds)
def paint(name: str, requests: list, branch=None) -> Iterator[Any]:
    """("loading", name, megabytes) if it must be loaded, then Shown for every step and a Result for every request.

    branch  a kept step to go on from, and whether to finish it at once
    """
    yield from painters.fetch(name)
    painter = painters.painter
    clock, last, spent, done = perf_counter(), None, 0.0, 0
    for request in requests:
        stream = painter.stream(request) if branch is None else painter.resume(branch[0], request, branch[1])
        total = 0
        for event in stream:
            if isinstance(event, Result):
                yield event
                continue
            now, jpeg = perf_counter() - clock, None
            total = event.total
            if last is None or (now - last >= PAUSE and spent <= COST * now):
                jpeg = encoded(event.preview(SIDE), 80)
                # the first one also scales the picture down and fits the colours, once
                spent, last = spent + (perf_counter() - clock - now if last else 0), perf_counter() - clock
            yield Shown(done + event.index, total * len(requests), now, jpeg, None if PRESENT else event)
        done += total


def encoded(image, quality: int) -> bytes:
    """JPEG bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def data_url(data: bytes, kind: str = "jpeg") -> str:
    """`data:` address, so that no preview is ever a file."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
