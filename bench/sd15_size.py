"""Measure Stable Diffusion 1.5 at its real size, with random weights: seconds a step, and peak memory.

    python -m bench.sd15_size [--steps 2] [--side 512]

Both UNets are made in bfloat16 on the first run and kept in the system's temporary folder; nothing is downloaded, and
the pictures mean nothing.
"""

from __future__ import annotations

import argparse
import platform
import resource
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

CONFIGS = Path(__file__).resolve().parent.parent / "assets" / "configs" / "sd15"


def cached() -> Path:
    """Return a folder with such a model, 3.9 GB in the system's temporary folder; it is written once and kept."""
    folder = Path(tempfile.gettempdir()) / "inpaint-bench-sd15"
    if not (folder / "complete").is_file():
        subprocess.run(
            [
                sys.executable,
                "-c",
                "from pathlib import Path; from bench.sd15_size import write_model; "
                f"write_model(Path({str(folder)!r}))",
            ],
            check=True,
            cwd=CONFIGS.parents[2],
        )
        (folder / "complete").touch()
    return folder


def write_model(folder: Path) -> None:
    """Write a diffusers folder of SD 1.5's shapes: unet/ (4 channels), unet_inpainting/ (9), vae/, text_encoder/."""
    import shutil

    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    shutil.copytree(CONFIGS, folder, dirs_exist_ok=True)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    config = UNet2DConditionModel.load_config(str(CONFIGS / "unet"))
    for sub, channels in (("unet", 4), ("unet_inpainting", 9)):
        UNet2DConditionModel.from_config({**config, "in_channels": channels}).save_pretrained(folder / sub)
    AutoencoderKL.from_config(AutoencoderKL.load_config(str(CONFIGS / "vae"))).save_pretrained(folder / "vae")
    text = CLIPTextModel(CLIPTextConfig.from_pretrained(str(CONFIGS / "text_encoder")))
    text.save_pretrained(folder / "text_encoder")


def run(folder: str, method: str, steps: int, side: int) -> None:
    """Run one request in this process; print seconds by stage and the peak memory."""
    from PIL import Image

    import inpaint

    painter = inpaint.load(folder, backend="torch")
    mask = Image.new("L", (side, side))
    mask.paste(255, (side // 4, side // 4, side // 2, side // 2))
    request = inpaint.Request(
        "a red scarf",
        Image.new("RGB", (side, side), "teal"),
        mask,
        method=method,
        steps=steps,
        seed=1,
        whole=True,
        size=side,
    )
    report = painter(request).report
    seconds = report["seconds"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"| {method} | {str(painter.model.dtype).removeprefix('torch.')} | {report['steps']} "
        f"| {seconds['denoise'] / report['steps']:.1f} | {seconds['encode']:.1f} | {seconds['decode']:.1f} "
        f"| {seconds['total']:.1f} | {peak:.2f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--run", nargs=2, metavar=("FOLDER", "METHOD"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        run(*args.run, args.steps, args.side)
        return
    import torch

    print(
        f"{date.today()}, {platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"{args.side} × {args.side}, guidance on, random weights\n"
    )
    print(
        "| method | dtype | steps | s a step | s encode | s decode | s total | peak GiB |\n|---" + "|---" * 7 + "|",
        flush=True,
    )
    for method in ("base", "inpaint"):  # each in its own process, so that the peaks are separate
        subprocess.run(
            [
                sys.executable,
                "-m",
                "bench.sd15_size",
                "--run",
                str(cached()),
                method,
                "--steps",
                str(args.steps),
                "--side",
                str(args.side),
            ],
            check=True,
        )


if __name__ == "__main__":
    main()
