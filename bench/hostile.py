"""Run ten thousand attacks, and check that each ends in a right result or in one clear sentence.

    python -m bench.hostile --cases 10000 --seed 0 [--through api|cli|http|all]
    python -m bench.hostile --only 4711 --through api       one case alone, with the program's own traceback

Case n is made from the number seed + n alone, so a failure can be repeated by its number.  All cases go through the
API, a tenth through the command line in one process and forty as real processes, and a twentieth to a running app.py,
which also gets every malformed body of tests/robustness/hostile/envelope.py.  Prints a Markdown table and the
failures; the exit status is 1 if there are any.
"""

from __future__ import annotations

import argparse
import collections
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.robustness.hostile import api, cli, envelope, http
from tests.robustness.hostile.cases import Case, case
from tests.robustness.hostile.verdict import LARGE, MEGABYTES, MORE, SECONDS, Verdict, judged

ROUTES = ("api", "cli", "process", "http")
FILES_ALONE = ("weights", "zip")  # cases that are not requests
SOUND = 25  # after every 25 cases an ordinary request is sent, which must be answered


class Table:
    """The outcomes of the cases, by route and kind."""

    def __init__(self):
        self.rows, self.faults = collections.defaultdict(list), []

    def add(self, route: str, kind: str, what: str, verdict: Verdict) -> None:
        self.rows[route, kind].append((verdict, what))
        if verdict.fault:
            self.faults.append(f"- {route}, {what}: {verdict.fault[:300]!r}")
            print(self.faults[-1], file=sys.stderr, flush=True)

    def markdown(self) -> Iterator[str]:
        yield "| through | cases | kind | right results | clear refusals | failures | slowest | most memory |"
        yield "|---|--:|---|--:|--:|--:|--:|--:|"
        for (route, kind), made in self.rows.items():
            verdicts = [verdict for verdict, _ in made]
            failed = sum(bool(v.fault) for v in verdicts)
            refused = sum(bool(v.refused and not v.fault) for v in verdicts)
            yield (
                f"| {route} | {len(made)} | {kind} | {len(made) - failed - refused} | {refused} | {failed} "
                f"| {max(v.seconds for v in verdicts):.2f} s | {max(v.megabytes for v in verdicts):.0f} MiB |"
            )


@contextmanager
def opened(route: str):
    """Yield (an object that runs cases, the process whose memory is watched) for a route."""
    with tempfile.TemporaryDirectory() as name:
        if route == "http":
            with http.served() as (address, process, _):
                through = http.Through(address)
                through.sound("unipc")  # loads its library
                yield through, process.pid
        elif route == "api":
            yield api.Through(Path(name)), "self"
        else:
            yield cli.Through(Path(name), process=route == "process"), "self"


def attack(route: str, seeds: range, table: Table) -> None:
    """Run the attacks of a route, one after the other, and add their outcomes to the table."""
    with opened(route) as (through, pid):
        for n, seed in enumerate(seeds):
            made = case(seed, only_json=route != "api")
            if made.kind in ({"api": (), "http": FILES_ALONE}.get(route, ("zip",))):
                continue
            patience = made.patience * (3 if route == "process" else 1)  # a process imports torch first
            table.add(route, made.kind, str(made), judged(_run(through, made), pid, patience))
            if route == "http" and n % SOUND == 0:
                table.add(route, "an ordinary request after them", f"after seed {seed}", judged(through.sound, pid))
        if route == "http":
            picture, mask = (
                through.uploaded(http.sound_picture(), "a.png"),
                through.uploaded(http.sound_mask(), "b.png"),
            )
            for what, body in envelope.bodies(picture, mask).items():
                table.add(route, "envelope", what, judged(_images(through, body), pid))
            table.add(route, "an ordinary request after them", "at the end", judged(through.sound, pid))


def _run(through, made: Case) -> Callable[[], None]:
    return lambda: through.run(made)


def _images(through: http.Through, body) -> Callable[[], None]:
    return lambda: through.answers(body)


def alone(route: str, seed: int) -> None:
    """Run one case and let its error through, with the traceback."""
    with opened(route) as (through, _):
        made = case(seed, only_json=route != "api")
        print(made, made.settings)
        through.run(made)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--through", choices=(*ROUTES, "all"), default="all")
    parser.add_argument("--only", type=int, metavar="SEED", help="repeat this case alone")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    if asked.only is not None:
        return alone("api" if asked.through == "all" else asked.through, asked.only) or 0
    table, began = Table(), time.perf_counter()
    api.warm()
    counts = {
        "api": asked.cases,
        "cli": asked.cases // 10,
        "process": min(40, asked.cases // 100),
        "http": asked.cases // 20,
    }
    for route in ROUTES if asked.through == "all" else (asked.through,):
        count = counts[route] if asked.through == "all" else asked.cases
        attack(route, range(asked.seed, asked.seed + count), table)
    total = sum(map(len, table.rows.values()))
    print(
        f"{total} cases, seed {asked.seed}, in {time.perf_counter() - began:.0f} s; more than {SECONDS:.0f} s "
        f"or {MEGABYTES} MiB is a failure; a picture has 1 s and {MORE} MB more a megapixel beyond {LARGE}.  "
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, Python {platform.python_version()}.\n"
    )
    print(*table.markdown(), "", f"{len(table.faults)} failures", *table.faults, sep="\n")
    return bool(table.faults)


if __name__ == "__main__":
    sys.exit(main())
