"""Run a hundred jobs and twenty model changes in one process, and measure whether memory returns to where it was.

    python -m bench.endurance [--jobs 100] [--switches 20] [--steps 4] [--goal 5]

The models take turns through the same code as on the page: toy, the built-in one, and the small checkpoint of the
tests.  Pictures, masks, seeds and methods differ from job to job; results are encoded and dropped.  A warm-up comes
first, every size with every model, twice: it fills caches and thread pools, loads libraries, and lets the allocator's
arenas grow to their final size.  Memory is the process's resident pages, also without those mapped from files.
"""

from __future__ import annotations

import gc
import random
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from PIL import Image

from .record import ROOT, arguments, machine, process_memory, table

GOLDEN = ROOT / "tests" / "data" / "golden"
TINY = GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors"
SIZES = ((320, 240), (512, 512), (801, 603), (200, 640))


def models() -> list[tuple[str, dict]]:
    """Return (name, options of load) of each model on this machine."""
    tiny = [(str(TINY), {"config": str(GOLDEN / "model_diffusers"), "dtype": "float32"})] if TINY.is_file() else []
    return [("toy", {}), ("builtin", {}), *tiny]


def megabytes() -> dict[str, float]:
    """Return MiB of resident memory: all of it, and the part not mapped from files (Linux)."""
    gc.collect()
    return {name: process_memory(name) / 2**20 for name in ("VmRSS", "RssAnon")}


def job(painter, rng: random.Random, steps: int, size: tuple[int, int] | None = None) -> None:
    """Repaint one picture, render its previews, and encode it as a file."""
    from inpaint import Request, Result

    size = size or rng.choice(SIZES)
    mask = Image.new("L", size)
    left, top = rng.randrange(size[0] // 2), rng.randrange(size[1] // 2)
    mask.paste(255, (left, top, left + rng.randint(20, size[0] // 2), top + rng.randint(20, size[1] // 2)))
    picture = Image.effect_noise(size, 60).convert("RGB")
    request = Request(
        rng.choice(("", "a red scarf", "a dog on the grass")),
        picture,
        mask,
        steps=steps,
        seed=rng.randrange(2**32),
        method=rng.choice(("auto", *painter.model.methods)),
    )
    for event in painter.stream(request):
        if isinstance(event, Result):
            event.to_bytes("PNG")
        else:
            event.preview(512)


def endure(jobs: int, switches: int, steps: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield (description, memory): after the warm-up, at every tenth of the work, and at the end."""
    from page.jobs.current_model import CurrentModel

    current, rng, known = CurrentModel(), random.Random(5), models()
    for name, options in [*known, *known, known[0]]:
        for size in SIZES:
            current.load(name, **options)
            job(current.painter, rng, steps, size)
    yield f"0 jobs; {known[0][0]}", megabytes()
    changed = 0
    for n in range(jobs):
        changed = -(-(n + 1) * switches // jobs)  # spread evenly, rounded up
        name, options = known[changed % len(known)]
        current.load(name, **options)
        job(current.painter, rng, steps)
        if (n + 1) % max(1, jobs // 10) == 0 and n + 1 < jobs:
            yield f"{n + 1} jobs, {changed} changes; {Path(name).stem}", megabytes()
    current.load(known[0][0])  # the same model as at the start
    yield f"{jobs} jobs, {changed} changes; {known[0][0]}", megabytes()


def main() -> None:
    parser = arguments(__doc__, runs=1)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--switches", type=int, default=20)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--goal", type=float, default=5.0, help="per cent that resident memory may grow (5)")
    asked = parser.parse_args()
    began, rows = time.perf_counter(), []
    for done, now in endure(asked.jobs, asked.switches, asked.steps):
        rows.append((done, now))
        print(done, {k: round(v) for k, v in now.items()}, file=sys.stderr, flush=True)
    start, end = rows[0][1], rows[-1][1]
    growth = 100 * (end["VmRSS"] / start["VmRSS"] - 1)
    print(
        f"{asked.jobs} jobs of {asked.steps} steps, {asked.switches} changes among "
        f"{', '.join(Path(name).stem for name, _ in models())}, {time.perf_counter() - began:.0f} s; "
        f"{date.today()}, {machine()}\n"
    )
    print(
        table(
            ["after; loaded", "resident", "of it not from files", "against the start"],
            [
                [
                    done,
                    f"{now['VmRSS']:.0f} MiB",
                    f"{now['RssAnon']:.0f} MiB",
                    f"{100 * (now['VmRSS'] / start['VmRSS'] - 1):+.1f} %",
                ]
                for done, now in rows
            ],
        )
    )
    print(
        f"\nResident memory {growth:+.1f} %; it may grow by {asked.goal:g} %: "
        f"{'met' if growth <= asked.goal else 'missed'}."
    )
    sys.exit(growth > asked.goal)


if __name__ == "__main__":
    main()
