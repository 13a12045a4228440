"""The soak itself: for a few actions nothing is wrong, and what would be wrong is noticed."""

from __future__ import annotations

from random import Random

import pytest

from bench import soak, soak_visitor
from bench.soak_visitor import Fault, Visitor


@pytest.fixture(scope="module")
def server():
    with soak.served(away=2) as server:
        yield server


@pytest.fixture(scope="module")
def browser():
    with soak_visitor.chromium() as browser:
        yield browser


def test_a_few_actions_of_two_visitors(server, browser):
    tried = soak.Soak(server, browser, visitors=2, seed=3)
    tried.look()
    for _ in range(8):
        tried.act(tried.rng.choice(tried.visitors))
    tried.leave()
    tried.judge()
    assert tried.done.total() == 8 and not tried.faults and not server.faults()
    assert server.files("sessions/") == 0


def test_somebody_elses_picture_is_noticed(server, browser):
    visitor = Visitor(0, browser, server.address, Random(1))
    visitor.come()
    visitor.open()
    visitor.check()
    visitor.colour = tuple(255 - n for n in visitor.colour)
    with pytest.raises(Fault, match="photo has"):
        visitor.check()
    visitor.leave()


def test_a_page_that_hangs_or_fails_is_noticed(server, browser, monkeypatch):
    visitor = Visitor(0, browser, server.address, Random(1))
    visitor.come()
    visitor.page.evaluate("document.querySelector('.editor').dataset.mode = 'run'")
    visitor.check()
    monkeypatch.setattr(soak_visitor, "STUCK", -1)
    with pytest.raises(Fault, match="mode run"):
        visitor.check()
    visitor.page.evaluate("document.querySelector('.editor').dataset.mode = 'paint'")
    visitor.rng.choice = lambda names: "rerun"
    visitor.rerun = lambda: visitor.page.evaluate("document.querySelector('.editor').dataset.mode = 'run'")
    monkeypatch.setattr(soak_visitor, "STUCK", 60)
    visitor.since -= 61
    visitor.act()
    visitor.check()  # another run, which has only begun
    visitor.start()
    visitor.page.evaluate("setTimeout(() => { throw new Error('broken'); })")
    visitor.page.wait_for_timeout(200)
    with pytest.raises(Fault, match="broken"):
        visitor.check()
    visitor.leave()


def test_a_servers_traceback_growth_and_leftovers_are_noticed(server, tmp_path):
    seen = soak.Server("", server.process, tmp_path, away=0)
    (tmp_path / "log").write_text("fine\nTraceback (most recent call last):\n  ZeroDivisionError\n")
    (tmp_path / "inpaint-x" / "files" / "sessions" / "y").mkdir(parents=True)
    (tmp_path / "inpaint-x" / "files" / "sessions" / "y" / "a.png").write_bytes(b"x")
    assert "ZeroDivisionError" in seen.faults()[0] and seen.files("sessions/") == 1
    tried = soak.Soak(seen, None, visitors=0, seed=1)

    def looks(*memory: int) -> list:
        counts = {"threads": 500, "open": 9, "files": 1}
        return [(n * 600.0, {"actions": 90 * n, "MiB": mib, **counts}) for n, mib in enumerate(memory)]

    tried.looks, tried.rests = looks(100, 200, 300), [200, 220]  # the visitors' pictures take memory
    tried.judge()
    assert any("threads" in fault for fault in tried.faults) and not any("memory" in fault for fault in tried.faults)
    tried.rests = [200, 260]
    tried.judge()
    assert any("memory without visitors grew" in fault for fault in tried.faults)


def test_everybody_leaves_once_before_the_end(server, browser, monkeypatch):
    tried = soak.Soak(server, browser, visitors=1, seed=5)
    monkeypatch.setattr(tried, "act", lambda visitor: tried.done.update(["nothing"]))
    tried.run(0.2)
    assert len(tried.rests) == 2 and tried.done.total() > 1 and not tried.faults
