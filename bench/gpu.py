"""Measure everything that only a GPU can show, in one run of at most eight minutes.

    python -m bench.gpu [--into bench/gpu.md] [--device cuda] [--seconds 480] [--tiny]

A model of Stable Diffusion 1.5's size with random weights is made on the device and kept in the system's temporary
folder (4 GB); nothing is downloaded, and its pictures mean nothing.  Each section prints a table:

correct      the device's pictures compared with the CPU's in float32, within the tolerance named in the table; and
             four variations in one batch compared with each alone
speed        this program compared with diffusers' pipeline: the same dtype, DDIM, steps and size, both channels_last,
             embeddings made beforehand; and with its UNet compiled by torch.compile
memory       seconds and peak memory of each memory policy
variations   seconds per picture and peak memory for 1 to 8 at a time
running out  what a job gives up when the process gets less and less memory, and whether it still ends with a picture

If a section fails, its table says so and the others still run; sections for which no time is left are named.
`--tiny` uses a model of 0.3 million weights instead, without torch.compile.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import inpaint

from .record import machine, table

CONFIGS = Path(__file__).resolve().parent.parent / "assets" / "configs" / "sd15"
TOLERANCE = {"float32": (0.05, 2), "float16": (1.0, 24), "bfloat16": (3.0, 64)}  # mean and largest, in levels
FRACTIONS = (0.9, 0.6, 0.45, 0.3)  # of the memory that one run with four variations took
PROMPT = "a red scarf"


class Bench:
    """The settings that all sections share: the model's folder, the device, and the size of a run."""

    def __init__(self, folder: Path, device: str, tiny: bool, deadline: float):
        self.folder, self.device, self.tiny, self.deadline = folder, device, tiny, deadline
        self.side, self.steps = (64, 2) if tiny else (512, 20)
        self.half = "float32" if device == "cpu" or tiny else "float16"

    def load(self, device: str = "", **options):
        """Load the model, to be run by torch."""
        return inpaint.load(str(self.folder), device=device or self.device, backend="torch", **options)

    def request(self, **settings) -> inpaint.Request:
        """Return a request for a hole in the middle of a picture, at the model's own size."""
        side = settings.pop("side", self.side)
        noise = np.random.default_rng(0).integers(0, 255, (side // 8, side // 8, 3), dtype=np.uint8)
        mask = Image.new("L", (side, side))
        mask.paste(255, (side // 4, side // 4, 3 * side // 4, 3 * side // 4))
        picture = Image.fromarray(noise).resize((side, side))
        given = {"seed": 1, "steps": self.steps, "whole": True, "size": side, **settings}
        return inpaint.Request(PROMPT, picture, mask, **given)

    def clock(self, work: Callable[[], object]) -> float:
        """Return the seconds that `work` takes after one warm-up, the device's queue included."""
        if not self.tiny:
            work()
        self.wait()
        began = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - began

    def wait(self) -> None:
        if self.device != "cpu":
            getattr(torch, self.device.split(":")[0]).synchronize()

    @contextmanager
    def peak(self) -> Iterator[list[float]]:
        """Record the peak of the device's memory inside the block, in GB; NaN if it cannot be measured."""
        found = [float("nan")]
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        yield found
        if self.device.startswith("cuda"):
            found[0] = torch.cuda.max_memory_allocated() / 1e9


def make(folder: Path, device: str, tiny: bool) -> Path:
    """Return a diffusers folder with both UNets, made on the device in half precision if it does not exist yet."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    if (folder / "complete").is_file():
        return folder
    shutil.copytree(CONFIGS, folder, dirs_exist_ok=True)
    unet = dict(UNet2DConditionModel.load_config(str(CONFIGS / "unet")))
    vae = dict(AutoencoderKL.load_config(str(CONFIGS / "vae")))
    text = CLIPTextConfig.from_pretrained(str(CONFIGS / "text_encoder"))
    if tiny:
        unet |= {"block_out_channels": (32, 64), "layers_per_block": 1, "cross_attention_dim": 32, "sample_size": 8}
        unet |= {"down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "attention_head_dim": 4}
        unet |= {"up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "norm_num_groups": 8}
        vae |= {"block_out_channels": (8, 8, 8, 8), "norm_num_groups": 8, "layers_per_block": 1}
        text.update({"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4})
    torch.manual_seed(0)
    with torch.device(device):
        networks = {
            "unet": lambda: UNet2DConditionModel.from_config({**unet, "in_channels": 4}),
            "unet_inpainting": lambda: UNet2DConditionModel.from_config({**unet, "in_channels": 9}),
            "vae": lambda: AutoencoderKL.from_config(vae),
            "text_encoder": lambda: CLIPTextModel(text),
        }
        for name, network in networks.items():
            network().half().to("cpu").save_pretrained(folder / name)
    (folder / "complete").touch()
    return folder


def correct(bench: Bench) -> tuple[list[str], list[list]]:
    """Compare the device's pictures with the CPU's in float32."""
    side, steps = (64, 2) if bench.tiny else (256, 4)
    cpu, rows = bench.load("cpu", dtype="float32"), []
    cases = {(method, name): bench.request(method=method, sampler=name, side=side, steps=steps, count=4)
             for method in ("base", "inpaint") for name in ("ddim", "dpm++ 2m")}  # fmt: skip
    wanted = {case: cpu(inpaint.Request(**{**_fields(request), "count": 1})).image for case, request in cases.items()}
    for dtype in dict.fromkeys(("float32", bench.half)):
        painter = bench.load(dtype=dtype)
        mean, most = TOLERANCE[dtype]
        for (method, name), request in cases.items():
            batch = painter(request).images
            alone = painter(inpaint.Request(**{**_fields(request), "seed": 4, "count": 1})).image
            apart, among = _apart(batch[0], wanted[method, name]), _apart(batch[3], alone)
            fine = apart[0] <= mean and apart[1] <= most and among[0] <= mean and among[1] <= most
            rows.append([method, name, dtype, _levels(apart), _levels(among), _levels((mean, most)),
                         "yes" if fine else "**no**"])  # fmt: skip
    return ["method", "sampler", "dtype", "from the CPU", "in a batch from alone", "tolerance", "within"], rows


def speed(bench: Bench) -> tuple[list[str], list[list]]:
    """Compare this program with diffusers' pipeline; a row for each variant, a column for each method."""
    ways: dict[str, Callable[[str, int], object]] = {}
    painter = bench.load(dtype=bench.half)
    for name in ("exact", "fast"):
        ways[f"ours, {name}"] = lambda method, count, name=name: partial(
            painter, bench.request(method=method, speed=name, count=count)
        )
    ways["diffusers"] = lambda method, count: _pipeline(bench, method, count, compiled=False)
    if not bench.tiny:
        ways["diffusers, compiled"] = lambda method, count: _pipeline(bench, method, count, compiled=True)
    rows = []
    for name, way in ways.items():
        cells = [_cell(lambda way=way, case=case: f"{bench.clock(way(*case)):.2f}")
                 for case in (("base", 1), ("inpaint", 1), ("inpaint", 4))]  # fmt: skip
        rows.append([name, *cells])
    return ["seconds a run", "base", "inpaint", "inpaint, 4 variations"], rows


def memory(bench: Bench) -> tuple[list[str], list[list]]:
    """Measure the seconds and peak memory of each memory policy."""
    rows = []
    for policy in ("resident", "low") if bench.device == "cpu" else ("resident", "offload", "sequential", "low"):
        with bench.peak() as peak:
            painter = bench.load(dtype=bench.half, memory=policy)
            request = bench.request(
                method="inpaint", steps=min(bench.steps, 4) if policy == "sequential" else bench.steps
            )
            seconds = bench.clock(lambda painter=painter, request=request: painter(request))
        rows.append([policy, request.steps, f"{seconds:.2f}", f"{peak[0]:.2f}"])
        del painter
    return ["policy", "steps", "seconds a run", "peak GB"], rows


def variations(bench: Bench) -> tuple[list[str], list[list]]:
    """Measure seconds per picture and peak memory for several pictures at once."""
    painter, rows = bench.load(dtype=bench.half, memory="resident"), []
    for count in (1, 2) if bench.tiny else (1, 2, 4, 8):
        with bench.peak() as peak:
            seconds = bench.clock(lambda count=count: painter(bench.request(method="inpaint", count=count)))
        rows.append([count, f"{seconds / count:.2f}", f"{peak[0]:.2f}"])
    return ["variations", "seconds a picture", "peak GB"], rows


def running_out(bench: Bench) -> tuple[list[str], list[list]]:
    """Restrict the process to less and less memory, and record what a job gives up."""
    if not bench.device.startswith("cuda"):
        return ["memory", "given up"], [["—", "only CUDA limits a process's memory"]]
    painter, rows = bench.load(dtype=bench.half, memory="resident"), []
    request = bench.request(method="inpaint", count=4, steps=min(bench.steps, 4))
    with bench.peak() as peak:
        painter(request)
    total = torch.cuda.mem_get_info()[1]
    for fraction in FRACTIONS:
        torch.cuda.set_per_process_memory_fraction(min(1.0, fraction * peak[0] * 1e9 / total))
        try:
            notes = [note for note in painter(request).report["notes"] if "Memory" in note]
            outcome = " ".join(notes) or "nothing"
        except inpaint.OutOfMemory as error:
            outcome = f"no picture: {error}"
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        rows.append([f"{fraction * peak[0]:.2f} GB", outcome])
    after = [note for note in painter(request).report["notes"] if "Memory" in note]
    rows.append(["all again", " ".join(after) or "nothing"])
    return ["memory", "given up"], rows


SECTIONS = {
    "correct": correct,
    "speed": speed,
    "memory": memory,
    "variations": variations,
    "running out": running_out,
}


def _pipeline(bench: Bench, method: str, count: int, compiled: bool) -> Callable[[], object]:
    """Return diffusers' inpainting pipeline on the same weights, ready to run."""
    import diffusers

    from inpaint.models import loading

    parts, dtype = loading.source((str(bench.folder),)), getattr(torch, bench.half)
    config = {**parts.schedule(), "steps_offset": 1, "clip_sample": False, "set_alpha_to_one": False}
    pipe = diffusers.StableDiffusionInpaintPipeline(
        unet=parts.unet(method, dtype), vae=parts.vae(dtype), text_encoder=parts.text_encoder(dtype),
        tokenizer=parts.tokenizer(), scheduler=diffusers.DDIMScheduler.from_config(config), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    ).to(bench.device)  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    for network in (pipe.unet, pipe.vae):
        network.to(memory_format=torch.channels_last)
    if compiled:
        pipe.unet = torch.compile(pipe.unet, mode="max-autotune-no-cudagraphs")
    request = bench.request(method=method)
    with torch.inference_mode():
        texts = pipe.encode_prompt(PROMPT, bench.device, count, True, "")

    def run():
        with torch.inference_mode():
            pipe(prompt_embeds=texts[0][:1], negative_prompt_embeds=texts[1][:1], image=request.picture.rgb,
                 mask_image=request.mask, num_inference_steps=bench.steps, strength=1.0, guidance_scale=7.5,
                 width=bench.side, height=bench.side, num_images_per_prompt=count)  # fmt: skip

    return run


def _fields(request: inpaint.Request) -> dict:
    return {**request.settings(), "picture": request.picture, "mask": request.mask}


def _apart(a: Image.Image, b: Image.Image) -> tuple[float, int]:
    """Return the mean and the largest difference of two pictures, in levels."""
    difference = np.abs(np.asarray(a, int) - np.asarray(b, int))
    return float(difference.mean()), int(difference.max())


def _levels(apart: tuple[float, float]) -> str:
    return f"{apart[0]:.2f}, at most {apart[1]:g}"


def _cell(work: Callable[[], str]) -> str:
    """Return what `work` returns, or the name of its error, so that one failed cell does not lose the table."""
    try:
        return work()
    except Exception as error:
        return f"failed: {type(error).__name__}"


def section(bench: Bench, name: str) -> str:
    """Return one section as Markdown."""
    if time.perf_counter() > bench.deadline:
        return f"### {name}\n\nNo time was left for it."
    began = time.perf_counter()
    try:
        shown = table(*SECTIONS[name](bench))
    except Exception as error:
        shown = f"Failed: {type(error).__name__}: {error}"
    return f"### {name}\n\n{shown}\n\n{time.perf_counter() - began:.0f} s"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=Path("bench") / "gpu.md", help="where the tables are written")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=480, help="no section begins later than this")
    parser.add_argument("--tiny", action="store_true", help="use a tiny model, to check that the script runs")
    given = parser.parse_args(argv)
    if given.device == "cpu" and not given.tiny:
        print("There is no GPU here, so nothing was measured. --tiny checks on the CPU that the script runs.")
        return 1
    began = time.perf_counter()
    folder = Path(tempfile.gettempdir()) / f"inpaint-bench-gpu-{'tiny' if given.tiny else 'sd15'}"
    bench = Bench(make(folder, given.device, given.tiny), given.device, given.tiny, began + given.seconds)
    name = torch.cuda.get_device_name() if given.device.startswith("cuda") else given.device
    size = "a tiny model" if given.tiny else "Stable Diffusion 1.5's size, random weights"
    text = (
        f"{date.today()}, {name}, {machine()}, {size}, {bench.side}×{bench.side}, {bench.steps} steps, {bench.half}\n"
    )
    for key in SECTIONS:
        text += "\n" + section(bench, key) + "\n"
        given.into.write_text(text, encoding="utf-8")  # after each section, in case a later one crashes
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
