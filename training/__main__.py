"""Run the stages of training in order, each from where it stopped.

python -m training --work DIR --photos FOLDER                      train on the CPU until everything is done
python -m training pack --work DIR --photos FOLDER                 pack all that a machine without a network needs
python -m training --pack FILE --device cuda --minutes 11 --out DIR
python -m training save --work DIR --out training/state            save small states, to continue on another machine
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

STAGES = ("vae", "text", "first", "inpaint", "base", "export")
SIZES = ("vae_steps", "text_steps", "scenes", "first_steps", "inpaint_steps", "base_steps")


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("train", "pack", "save"), default="train")
    parser.add_argument("--work", type=Path, default=Path("training/work"), help="folder of all states")
    parser.add_argument("--photos", type=Path, help="folder of JPEG photographs (default: WORK/photos)")
    parser.add_argument("--pack", type=Path, help="stickers, photos and autoencoder in one file, made by `pack`")
    parser.add_argument("--grow", type=Path, help="start from the autoencoder and the UNet of this finished model")
    parser.add_argument("--states", type=Path, default=Path("training/state"), help="small states to continue from")
    parser.add_argument("--out", type=Path, help="folder for small states, saved every minute")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compile", action="store_true", help="try torch.compile, and keep it if it is faster")
    parser.add_argument("--threads", type=int, default=1, help="1 beside other work, 2 on an idle machine")
    parser.add_argument("--minutes", type=float, help="stop after this time; the learning rate falls towards the end")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES), help="only these")
    parser.add_argument("--nice", type=int, default=19, help="the process's priority; 19 gives way to all others")
    for name in SIZES:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help="replaces the plan's number")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> None:
    """Run the stages asked for, or pack, or save."""
    options = arguments(given)
    os.nice(options.nice - os.nice(0))
    import torch

    from . import checkpoint, pack, stages, stickers, unet, vae
    from .plan import Plan

    torch.set_num_threads(options.threads)
    sizes = {name: value for name in SIZES if (value := getattr(options, name)) is not None}
    plan = Plan(
        options.work,
        options.photos or options.work / "photos",
        device=options.device,
        states=options.states,
        out=options.out,
        compile=options.compile,
        **sizes,
        **stages.on(options.device),
    )
    alone = checkpoint.lock(plan.work)  # held until the end
    if options.grow:
        vae.adopt(options.grow, plan)
        unet.adopt(options.grow, plan)
    if options.what == "save":
        print("\n".join(str(path) for path in stages.save(plan)))
    elif options.what == "pack":
        stickers.fetch(plan.work / "npm")
        print(pack.write(options.pack or Path("training/pack.zip"), plan))
    else:
        stages.run(options.stages, plan, options.minutes, options.pack)
    alone.close()


if __name__ == "__main__":
    main()
