"""Send a small crowd to one page: first come, first served; nobody is lost; refusals name the queue's length."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from bench.crowd import Seen, crowd, overtaken, percentile, row, turns
from tests import gradio_aside
from tests.robustness.hostile.visitor import hosted, png

pytestmark = gradio_aside.warnings


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crowd")
    (folder / "a.png").write_bytes(png())
    mask = Image.new("L", (96, 64))
    mask.paste(255, (10, 10, 40, 40))
    mask.save(folder / "m.png")
    return folder / "a.png", folder / "m.png"


def gathered(*arguments, **options) -> list[Seen]:
    """The crowd, in a thread without an event loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(crowd(*arguments, **options))).result(60)


@pytest.mark.parametrize("at_once", [False, True])
def test_everybody_is_served_in_turn_or_refused_with_the_lines_length(tmp_path, files, at_once):
    from page.limits import Limits

    with hosted(tmp_path / "files", Limits(queue=4)) as (address, page):
        seen = gathered(address, 8, leaving=2, steps=2, prompt="slow", files=files, at_once=at_once)
        assert not page.queue.waiting and len(page.sessions.all) == 0
    left, refused = [it for it in seen if it.left], [it for it in seen if it.error]
    done = [it for it in seen if it.right]
    assert len(left) + len(refused) + len(done) == 8 and len(done) >= 2 and refused
    for it in refused:
        assert re.search(r"long queue.*number [45]\b", it.error), it.error
    for it in done:
        assert it.previews and it.places == sorted(it.places, reverse=True)
    if not at_once:  # here the order of arrival is known
        assert overtaken(seen) == [0] * (len(done) + len(left))
        waiting = [it.places[0] for it in seen if it.places]
        assert waiting == sorted(waiting) and waiting[0] == 1


def test_the_benchmark_sees_unfairness():
    """The benchmark must be able to report a bad result."""
    seen = [
        Seen(n, asked=n, first=first, done=first + 1, previews=n, right=True)
        for n, first in enumerate((5.0, 3.0, 4.0, 9.0))
    ]
    assert overtaken(seen) == [2, 0, 0, 0] and turns(seen) == [0.0, 0.0, 3.0]
    lost = row([*seen, Seen(4, error="broken"), Seen(5, error="you would be number 7"), Seen(6, left=True), Seen(7)])
    assert lost["lost"] == 2 and lost["refused, with the queue's length"] == 1 and lost["finished"] == 4
    assert lost["overtaken by others"] == "1 jobs, at most by 2"
    assert percentile([3, 1, 2], 0.5) == 2 and percentile([], 0.5) == 0
