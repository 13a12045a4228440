"""Run the stages of training in order, and share limited time among them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from . import checkpoint, pack, photos, states, stickers, text, unet, vae
from .plan import Plan
from .run import Clock
from .stickers import Library

SHARES = {"text": 0.20, "inpaint": 0.55, "base": 0.45}  # of limited time, to the stages that are not done yet
CUDA = {
    "stride": 32,
    "fresh": 128,
    "text_batch": 384,
    "save_seconds": 60.0,
    "grounds": 2_048,
    "holes": 1_536,
    "orders": 65_536,
    "sheet_every": 10**9,
}


def on(device: str) -> dict[str, object]:
    """Return a plan adapted to a device: batches of 512 and larger tables on a GPU."""
    return dict(CUDA) if device == "cuda" else {}


def run(names: list[str], plan: Plan, minutes: float | None, packed: Path | None) -> None:
    """Run these stages to their end, or as far as they get in the given minutes."""
    began = time.monotonic()
    if plan.device == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")
    if packed:
        library, held_out = pack.read(packed, plan)
    else:
        stickers.fetch(plan.work / "npm")
        library = Library(photos.load(plan.photos), stickers.load(plan.work / "npm"))
        held_out = photos.load(plan.photos, held_out=True)
    stages = of(library, held_out, plan)
    todo = [name for name in stages if name in names]
    for name in todo:
        clock = None
        if minutes is not None:
            left = 60 * minutes - (time.monotonic() - began)
            shares = [SHARES.get(other, 0) for other in todo[todo.index(name) :]]
            if not SHARES.get(name):
                continue
            clock = Clock(max(1.0, left * SHARES[name] / sum(shares)))
        print(f"{name} …", flush=True)
        stages[name](clock)


def of(library: Library, held_out: list[Image.Image], plan: Plan) -> dict[str, Callable[[Clock | None], object]]:
    """Return the stages by name."""
    return {
        "vae": lambda _: vae.train(library, held_out, plan),
        "text": lambda clock: text.train(library.stickers, plan, clock),
        **{mode: lambda clock, mode=mode: unet.train(mode, library, held_out, plan, clock) for mode in unet.PARENT},
        "export": lambda _: exported(library, held_out, plan),
    }


def exported(library: Library, held_out: list[Image.Image], plan: Plan) -> None:
    """Export the model; the import is here because a training machine need not have the library `inpaint` uses."""
    from . import export

    print(f"Exported to {export.export(library, held_out, plan)}")


def save(plan: Plan) -> list[Path]:
    """Write small states of the text encoder and the UNets in the work folder to `plan.out`; return their files.

    While there is no 9-channel UNet yet, the UNet that it is grown from is written too.
    """
    out, paths = plan.out or Path("training/state"), []
    for name in ("text", "inpaint", "base"):
        state = checkpoint.load(plan.work / name / "state.pt")
        if state is not None:
            facts = {"step": state["step"], "seconds": round(state["seconds"]), "stamp": state["stamp"]}
            paths += states.write(out, name, state["module"] | state["average"], facts)
    first = checkpoint.load(plan.work / "first" / "final.pt")
    if first is not None and not (plan.work / "inpaint" / "state.pt").exists():
        facts = {"step": first["step"], "seconds": round(first["seconds"]), "stamp": first["stamp"]}
        paths += states.write(out, "first", first["unet"], facts)
    return paths
