"""python -m training --work DIR: every stage in order, each from where it stands."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

STAGES = ("vae", "text", "cache", "first", "inpaint", "base", "all")
SIZES = ("vae_steps", "text_steps", "scenes", "first_steps", "inpaint_steps", "base_steps")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("training/work"), help="folder of all states")
    parser.add_argument("--photos", type=Path, help="folder of JPEG photographs (default: WORK/photos)")
    parser.add_argument("--threads", type=int, default=1, help="1 beside other work, 2 when alone")
    parser.add_argument("--until", choices=STAGES, default="all", help="the last stage to run")
    parser.add_argument("--vae-from", type=Path, help="start the autoencoder from this folder's weights …")
    parser.add_argument("--vae-step", type=int, default=0, help="… which had this many steps already")
    for name in SIZES:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help="instead of the plan's")
    return parser.parse_args()


def main() -> None:
    """Run the stages up to `--until`."""
    given = vars(arguments())
    os.nice(19 - os.nice(0))  # whatever else runs on the machine goes first
    import torch

    from . import cache, checkpoint, export, photos, stickers, text, unet, vae
    from .plan import Plan
    from .scenes import Library

    torch.set_num_threads(given["threads"])
    sizes = {name: given[name] for name in SIZES if given[name] is not None}
    plan = Plan(given["work"], given["photos"] or given["work"] / "photos", **sizes)
    alone = checkpoint.lock(plan.work)  # held until we end
    stickers.fetch(plan.work / "npm")
    library = Library(photos.load(plan.photos), stickers.load(plan.work / "npm"))
    held_out = photos.load(plan.photos, held_out=True)
    if given["vae_from"]:
        vae.adopt(given["vae_from"], given["vae_step"], plan)
    stages = {
        "vae": lambda: vae.train(library, held_out, plan),
        "text": lambda: text.train(library, plan),
        "cache": lambda: cache.fill(library, plan),
        **{mode: lambda mode=mode: unet.train(mode, library, held_out, plan) for mode in unet.PARENT},
        "all": lambda: print(f"Exported to {export.export(library, held_out, plan)}"),
    }
    for name in STAGES[: STAGES.index(given["until"]) + 1]:
        print(f"{name} …", flush=True)
        stages[name]()
    alone.close()


if __name__ == "__main__":
    main()
