"""Compare with diffusers' StableDiffusionInpaintPipeline: the same weights, picture, hole and steps.

    python -m bench.peers builtin [--steps 20] [--runs 3] [--into bench/peers.json]
    python -m bench.peers sd15    [--steps 4]  [--runs 1]    random weights at Stable Diffusion 1.5's real size
    python -m bench.peers photo   [--steps 1]                a 200 px hole in a photo of 1536 × 1024

diffusers (float32)  run on a CPU as in the first example of its documentation, with its own scheduler, PNDM, which
                     calls the UNet once more than there are steps; and with DDIM, which does not
diffusers, tuned     bfloat16 if the processor has it, channels_last, inference_mode, embeddings made beforehand, DDIM
ours                 everything from the request to the finished picture, with empty caches; run by torch, and by
                     OpenVINO if it is installed
stable-diffusion.cpp if its Python package is installed, at SD 1.5's size; at most 2 steps, because it is slow

Each runs in its own process and is warmed up once at a small size; all take turns.  With the built-in model, whose
runs are short, a turn is the median of five.  If fewer than 20 steps were run, "20 steps" is projected: the seconds
outside the UNet, plus the seconds per UNet call times the calls that 20 steps make.  The steps of Fast differ, so it
always runs all 20.  There is no safety checker, which favours the peers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from PIL import Image

import inpaint
from inpaint.memory import device
from inpaint.models import loading

from .overhead import Watch, photo
from .record import Rows, alone, arguments, machine, middle, table
from .sd15_size import cached
from .stable_cpp import StableCpp

FULL = 20  # steps of a whole run
PROMPT, NEGATIVE, GUIDANCE = "a red scarf", "", 7.5
CPP = "stable-diffusion.cpp"
REPEATS = {"builtin": 5}  # a turn is the median of this many runs


class Peer:
    """diffusers' pipeline on a model folder; it counts the seconds spent in its UNet."""

    def __init__(self, folder: Path, method: str, scheduler: str, tuned: bool, dtype: torch.dtype):
        import diffusers

        parts = loading.source((str(folder),))
        config = {
            **parts.schedule(),
            "skip_prk_steps": True,
            "steps_offset": 1,
            "clip_sample": False,
            "set_alpha_to_one": False,
        }
        networks = {
            "unet": parts.unet(method, dtype),
            "vae": parts.vae(dtype),
            "text_encoder": parts.text_encoder(dtype),
        }
        self.pipe = diffusers.StableDiffusionInpaintPipeline(
            **networks,
            tokenizer=parts.tokenizer(),
            scheduler=getattr(diffusers, scheduler).from_config(config),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        self.pipe.set_progress_bar_config(disable=True)
        self.mode, self.prompt = nullcontext, {"prompt": PROMPT, "negative_prompt": NEGATIVE}
        if tuned:
            self.pipe.unet.to(memory_format=torch.channels_last)
            self.pipe.vae.to(memory_format=torch.channels_last)
            self.mode = torch.inference_mode
            with torch.inference_mode():
                texts = self.pipe.encode_prompt(PROMPT, "cpu", 1, True, NEGATIVE)
            self.prompt = dict(zip(("prompt_embeds", "negative_prompt_embeds"), texts, strict=True))
        self.pipe.unet.register_forward_pre_hook(lambda *_: setattr(self, "began", time.perf_counter()))
        self.pipe.unet.register_forward_hook(lambda *_: self._ended())

    def _ended(self) -> None:
        self.unet += time.perf_counter() - self.began
        self.calls += 1

    def __call__(self, picture: Image.Image, hole: Image.Image, steps: int, size: tuple[int, int]) -> dict:
        """Run it once; return the seconds in total and in the UNet, and the UNet's calls."""
        self.unet, self.calls = 0.0, 0
        began = time.perf_counter()
        with self.mode():
            self.pipe(
                **self.prompt,
                image=picture,
                mask_image=hole,
                num_inference_steps=steps,
                strength=1.0,
                guidance_scale=GUIDANCE,
                width=size[0],
                height=size[1],
                generator=torch.Generator().manual_seed(1),
            )
        return {"total": time.perf_counter() - began, "unet": self.unet, "calls": self.calls, "steps": steps}


class Ours:
    """This program on the same folder."""

    def __init__(self, folder: Path, method: str, backend: str = "torch", **settings):
        self.painter = inpaint.load(str(folder), backend=backend)
        if self.painter.model.backend != backend:
            raise SystemExit(f"{self.painter.model.backend} runs it, not {backend}.")
        self.settings = {"method": method, **settings}

    def __call__(self, picture: Image.Image, hole: Image.Image, steps: int, size: tuple[int, int]) -> dict:
        request = inpaint.Request(
            PROMPT,
            picture,
            hole,
            steps=steps,
            seed=1,
            guidance_scale=GUIDANCE,
            **{"size": max(size), "whole": True, "quality": "", **self.settings},
        )
        self.painter.encoder.cache.clear()
        self.painter.model.text.forget()
        watch = Watch(self.painter.model, time.perf_counter)
        with watch():
            began = time.perf_counter()
            report = self.painter(request).report
            total = time.perf_counter() - began
        return {
            "total": total,
            "unet": watch.seconds["unet"],
            "calls": watch.calls["unet"],
            "steps": steps,
            "size": report["crops"][0]["size"],
            "dtype": str(self.painter.model.dtype).removeprefix("torch."),
        }


def contenders(comparison: str) -> dict[str, Callable]:
    """Return {name: method -> a callable that runs it}."""
    folder = folder_of(comparison)
    if comparison == "photo":
        native = {"whole": False, "size": 304}
        return {
            "diffusers, DDIM, whole picture": partial(
                Peer, folder, scheduler="DDIMScheduler", tuned=False, dtype=torch.float32
            ),
            "ours, exact, native detail": partial(Ours, folder, **native),
            "ours, Fast, native detail": partial(Ours, folder, **native, speed="fast"),
            "ours, exact, enlarged to the model's 512 px": partial(Ours, folder, whole=False, size=512),
        }
    wide = torch.float32
    half = torch.bfloat16 if device.has_bfloat16(torch.device("cpu")) else wide
    found = {
        "diffusers, PNDM": partial(Peer, folder, scheduler="PNDMScheduler", tuned=False, dtype=wide),
        "diffusers, DDIM": partial(Peer, folder, scheduler="DDIMScheduler", tuned=False, dtype=wide),
        "diffusers, tuned": partial(Peer, folder, scheduler="DDIMScheduler", tuned=True, dtype=half),
        "ours, exact": partial(Ours, folder),
        "ours, Fast": partial(Ours, folder, speed="fast"),
    }
    if find_spec("openvino"):
        found["ours, OpenVINO"] = partial(Ours, folder, backend="openvino")
        found["ours, OpenVINO, Fast"] = partial(Ours, folder, backend="openvino", speed="fast")
    if comparison == "builtin" and half is not wide:  # a small model may be quicker in float32, so try both
        found["diffusers, tuned, float32"] = partial(Peer, folder, scheduler="DDIMScheduler", tuned=True, dtype=wide)
    if comparison == "sd15" and find_spec("stable_diffusion_cpp"):
        found[CPP] = partial(StableCpp, PROMPT, NEGATIVE, GUIDANCE, folder)
    return found


def folder_of(comparison: str) -> Path:
    return loading.BUILTIN if comparison == "builtin" else cached()


def scene(comparison: str, side: int) -> tuple[Image.Image, Image.Image]:
    """Return the picture and its hole."""
    if comparison == "photo":
        return photo(1536, 1024, (700, 400, 900, 600))
    return photo(side, side, (side // 4, side // 4, 5 * side // 8, 5 * side // 8))


def projected(row: dict) -> float:
    """Return the projected seconds of a run of FULL steps."""
    extra = row["calls"] - row["steps"]  # PNDM makes one more call
    return row["total"] - row["unet"] + row["unet"] / row["calls"] * (FULL + extra)


def compared(given) -> str:
    """Run all contenders in turn, each in its own process; return their ratios to the peers."""
    rows, shown = Rows(given.into, f"peers {given.what}"), []
    for method in given.methods:
        names = contenders(given.what)
        for turn in range(given.runs):
            for name in names:
                if given.only and not any(word in name for word in given.only):
                    continue
                steps = FULL if "Fast" in name else min(given.steps, 2) if name == CPP else given.steps
                rows.once(
                    f"{method}, {name}, {steps} steps, turn {turn + 1}", partial(_alone, given, name, method, steps)
                )
        shown += _ratios(rows, method, names)
    return table(["method", "", "ran", "measured", "20 steps", "to default", "to DDIM", "to tuned"], shown)


def _alone(given, name: str, method: str, steps: int) -> dict:
    row = alone("peers", given.what, "--side", given.side, "--one", name, method, steps)
    print(f"  {method}, {name}, {steps} steps: {row['total']:.1f} s", flush=True)
    return row


def measured(comparison: str, side: int, name: str, method: str, steps: int) -> dict:
    """Load one contender in this process, warm it up at a small size, and time it."""
    contender, (picture, hole) = contenders(comparison)[name](method=method), scene(comparison, side)
    tiny = tuple(n // 4 // 8 * 8 for n in picture.size)
    contender(picture.resize(tiny), hole.resize(tiny), 1, tiny)  # reads every weight once
    rows = [contender(picture, hole, steps, picture.size) for _ in range(REPEATS.get(comparison, 1))]
    return sorted(rows, key=lambda row: row["total"])[len(rows) // 2]


def _ratios(rows: Rows, method: str, names) -> list[list]:
    found = {}
    for name in names:
        ran = [
            row
            for key, row in rows.rows.items()
            if key.startswith(f"{method}, {name}, ")
            and "turn" in key
            and key.removeprefix(f"{method}, {name}, ")[0].isdigit()
        ]
        if ran:
            found[name] = middle(map(projected, ran)), middle(row["total"] for row in ran), ran
    lines = []
    for name, (full, total, ran) in found.items():
        ratios = [
            f"{found[peer][0] / full:.2f}×" if peer in found else ""
            for peer in ("diffusers, PNDM", "diffusers, DDIM", "diffusers, tuned")
        ]
        summary = f"{ran[0]['steps']} steps, {ran[0]['calls']} calls, {len(ran)} run{'s' * (len(ran) > 1)}"
        lines.append([method, name, summary, f"{total:.2f} s", f"{full:.2f} s", *ratios])
    return lines


def in_a_photo(given) -> str:
    """Compare a 200 px hole in 1536 × 1024: the default peer on the whole picture, ours on a close-up of the hole."""
    rows, shown, method = Rows(given.into, "peers photo"), [], given.methods[-1]
    for name in contenders("photo"):
        steps = given.steps if "diffusers" in name else FULL if "Fast" in name else max(given.steps, 4)
        row = rows.once(f"{method}, {name}, {steps} steps", partial(_alone, given, name, method, steps))
        first = next(iter(rows.rows.values()))
        shown.append(
            [
                name,
                f"{row['steps']} of 20 steps",
                f"{row['total']:.1f} s",
                f"{projected(row):.1f} s",
                f"{projected(first) / projected(row):.1f}×",
            ]
        )
    return table([f"200 px hole, 1536×1024, {method}", "ran", "measured", "20 steps", "to the peer"], shown)


def main() -> None:
    parser = arguments(__doc__, runs=1)
    parser.add_argument("what", choices=("builtin", "sd15", "photo"))
    parser.add_argument("--steps", type=int, help="of all but Fast (builtin 20, sd15 4, photo 1)")
    parser.add_argument("--methods", nargs="*", default=["base", "inpaint"], choices=("base", "inpaint"))
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="contenders with such a word")
    parser.add_argument("--side", type=int, help="pixels (the model's own)")
    parser.add_argument("--one", nargs=3, metavar=("NAME", "METHOD", "STEPS"), help="run only this here; print JSON")
    given = parser.parse_args()
    given.steps = given.steps or {"builtin": 20, "sd15": 4, "photo": 1}[given.what]
    given.side = given.side or loading.source((str(folder_of(given.what)),)).side()
    if given.one:
        name, method, steps = given.one
        print(json.dumps(measured(given.what, given.side, name, method, int(steps))))
        return
    print(
        f"{date.today()}, {machine()}; {given.what}, guidance {GUIDANCE}, "
        f"bfloat16 {'' if device.has_bfloat16(torch.device('cpu')) else 'not '}computed here",
        flush=True,
    )
    print("\n" + (in_a_photo if given.what == "photo" else compared)(given))


if __name__ == "__main__":
    main()
