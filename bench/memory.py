"""Measure peak memory, each case in its own process, read from the kernel (VmHWM in /proc/self/status; Linux).

    python -m bench.memory [--only WORD …] [--steps 2] [--dtype bfloat16] [--into bench/memory.json]

The cases are Stable Diffusion 1.5's real size with random weights at 512 × 512, with everything resident and with the
low-memory policy; and the built-in model on a photo of 1 and of 12 megapixels, from the file to the saved result.
Weights are mapped from their files; their pages count once they have been read, though the system can reclaim them.
`--dtype bfloat16` measures bfloat16 even on a processor without it, where it is emulated, slowly.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import date
from functools import partial
from pathlib import Path

from .record import Rows, alone, arguments, machine, process_memory, table
from .sd15_size import cached

GB, MB = 1e9, 1e6
MIDDLE = (128, 128, 328, 328)
CASES = {  # name: model, load's memory, method, picture's size, hole's box, whole picture?, goal
    "SD 1.5 size, inpaint, resident": ("sd15", "resident", "inpaint", (512, 512), MIDDLE, True, "4.5 GB"),
    "SD 1.5 size, inpaint, resident, OpenVINO": ("sd15", "resident", "inpaint", (512, 512), MIDDLE, True, "4.5 GB"),
    "SD 1.5 size, inpaint, low": ("sd15", "low", "inpaint", (512, 512), MIDDLE, True, "3 GB"),
    "SD 1.5 size, base, resident": ("sd15", "resident", "base", (512, 512), MIDDLE, True, ""),
    "built-in, 1 megapixel": ("builtin", "auto", "inpaint", (1154, 866), (300, 300, 556, 556), False, ""),
    "built-in, 12 megapixels": ("builtin", "auto", "inpaint", (4000, 3000), (300, 300, 556, 556), False, "+ 400 MB"),
    "built-in, 12 megapixels, a hole of 2000 px": (
        "builtin",
        "auto",
        "inpaint",
        (4000, 3000),
        (900, 500, 2900, 2500),
        False,
        "",
    ),
}


def peak() -> int:
    """Return this process's peak memory so far in bytes, including the pages of mapped files that were read."""
    return process_memory("VmHWM")


def anonymous() -> int:
    """Return the bytes in memory now that are not mapped from files."""
    return process_memory("RssAnon")


def run(name: str, steps: int, dtype: str, folder: Path) -> dict:
    """Run one case in this process."""
    import inpaint

    from .overhead import photo

    model, policy, method, size, box, whole, _ = CASES[name]
    picture, mask = (folder / f"{size[0]}-{kind}" for kind in ("photo.jpg", "mask.png"))
    if not mask.is_file() or "--files" in sys.argv:
        for image, path in zip(photo(*size, box), (picture, mask), strict=True):
            image.save(path)
        if "--files" in sys.argv:
            return {}
    painter = inpaint.load(
        str(cached()) if model == "sd15" else model,
        memory=policy,
        dtype=dtype if model == "sd15" else "auto",
        backend="openvino" if "OpenVINO" in name else "torch",
    )
    loaded = peak()
    request = inpaint.Request(
        "a red scarf", str(picture), mask=str(mask), method=method, steps=steps, seed=1, whole=whole
    )
    report = None
    for event in painter.stream(request):
        if isinstance(event, inpaint.Result):
            report = event.report
            event.save(folder / "out.png")
        elif not whole:
            event.preview(512)
    return {
        "peak": peak(),
        "loaded": loaded,
        "anonymous": anonymous(),
        "seconds": report["seconds"]["total"],
        "dtype": str(painter.model.dtype).removeprefix("torch."),
        "change": report["max_change_outside"],
    }


def apart(name: str, steps: int, dtype: str) -> dict:
    """Run a case in its own process, after another process has made its pictures."""
    with tempfile.TemporaryDirectory() as folder:
        case = "--case", name, folder, "--steps", steps, "--dtype", dtype
        alone("memory", *case, "--files")
        return alone("memory", *case)


def main() -> None:
    parser = arguments(__doc__, runs=1)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--dtype", default="auto", help="of Stable Diffusion's weights")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="cases with such a word in the name")
    parser.add_argument("--case", nargs=2, metavar=("NAME", "FOLDER"), help="run this case here, and print JSON")
    parser.add_argument("--files", action="store_true", help="with --case: only make its pictures")
    given = parser.parse_args()
    if given.case:
        print(json.dumps(run(given.case[0], given.steps, given.dtype, Path(given.case[1]))))
        return
    if any(CASES[name][0] == "sd15" for name in _chosen(given)):
        cached()
    rows, shown = Rows(given.into, "memory"), []
    print(f"{date.today()}, {machine()}; {given.steps} steps", flush=True)
    for name in _chosen(given):
        row = rows.once(name, partial(apart, name, given.steps, given.dtype))
        small = rows.rows.get("built-in, 1 megapixel")
        more = f"{(row['peak'] - small['peak']) / MB:+.0f} MB" if small and "12" in name else ""
        shown.append(
            [
                name,
                row["dtype"],
                f"{row['peak'] / GB:.2f} GB",
                f"{row['loaded'] / GB:.2f} GB",
                f"{row['anonymous'] / GB:.2f} GB",
                more,
                CASES[name][-1],
            ]
        )
    print(
        "\n"
        + table(
            [
                "case",
                "weights",
                "peak",
                "after loading",
                "at the end, not from files",
                "more than 1 megapixel",
                "goal",
            ],
            shown,
        )
    )


def _chosen(given) -> list[str]:
    return [name for name in CASES if not given.only or any(word in name for word in given.only)]


if __name__ == "__main__":
    main()
