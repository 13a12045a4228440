"""Measure whether the built-in model draws what is asked, in any hole, sharp, without a visible box, and quickly.

    python -m bench.builtin draws|colours|keeps|quick [--model FOLDER] [--work training/work] [--photos FOLDER]
                            [--holes plain|painted] [--count 100] [--guidance G] [--methods inpaint base]
                            [--sheet PATH]

It uses photos that training never saw (training/photos.py) and the stickers that npm fetches (training/stickers.py).
A classifier trained only on renderings of stickers says what was drawn (bench/judge.py); bench/builtin_figures.py
explains the figures.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image, ImageDraw

import inpaint
from inpaint.models import loading
from training import holes, measure, photos, stickers
from training.captions import bare
from training.place import placed
from training.sheet import grid
from training.stickers import Library

from . import builtin_figures as figures
from . import judge

SIZE = 256  # px: the photos' middle squares
SIDES = (96, 160)  # px: the plain holes
LEAST = 48**2  # px: the painted holes
SEED = 2_026
HUES = ("red", "orange", "yellow", "green", "blue", "purple", "pink")


class World:
    """The things that all measurements share: stickers, held-out photos, the classifier and the painter."""

    def __init__(self, given: argparse.Namespace):
        self.given = given
        stickers.fetch(given.work / "npm")
        folder = given.photos or given.work / "photos"
        self.seen = Library(photos.load(folder), stickers.load(given.work / "npm"))
        self.held_out = Library(photos.load(folder, held_out=True), self.seen.stickers)
        # a folder is measured with the built-in model's settings: its guidance, no words added to prompts
        loading.FAMILIES["builtin"] = replace(loading.FAMILIES["builtin"], base=(str(given.model),))
        self.painter = inpaint.load("builtin")
        self.methods = [method for method in given.methods if method in self.painter.model.methods]

    @property
    def judge(self):
        """Return the classifier, trained on the first call, and print its own accuracy."""
        found = judge.load(self.seen, self.given.work)
        right, bare = judge.accuracy(found, self.seen, self.held_out)
        print(f"The classifier names {right:.1%} of renderings on held-out photos, and {bare:.1%} of bare grounds.")
        return found

    def place(self, rng: Generator, kind: str = "plain") -> tuple[Image.Image, Image.Image]:
        """Return (photo of 256 × 256 px, hole): the middle of a held-out photo at one of two scales."""
        photo = self.held_out.photos[rng.integers(len(self.held_out.photos))]
        picture = photos.middle(photo, SIZE, share=float(rng.choice((1.0, 0.6))))
        if kind == "painted":
            while (mask := holes.hole(rng, SIZE, SIZE)).sum() < LEAST:
                pass
            return picture, Image.fromarray(255 * mask.astype(np.uint8))
        side, mask = int(rng.integers(SIDES[0], SIDES[1] + 1)), Image.new("L", (SIZE, SIZE))
        x, y = (int(at) for at in rng.integers(8, SIZE - side - 7, 2))
        draw = ImageDraw.Draw(mask)
        (draw.rectangle if rng.random() < 0.5 else draw.ellipse)((x, y, x + side - 1, y + side - 1), fill=255)
        return picture, mask

    def true(self, sticker: Image.Image, picture: Image.Image, mask: Image.Image) -> figures.Truth:
        """Return what a perfect model would draw: the sticker itself, as large as the hole allows."""
        alpha = torch.from_numpy(np.array(sticker.getchannel("A").resize((48, 48)))) / 255.0
        hole = torch.from_numpy(np.asarray(mask) > 0)
        side, middle, _ = placed(alpha[None, None], hole[None, None])
        side, (x, y) = max(8, round(0.95 * side.item())), middle[0].tolist()
        stamp, layer = sticker.resize((side, side), Image.Resampling.LANCZOS), Image.new("RGBA", picture.size)
        layer.paste(stamp, (round(x - side / 2), round(y - side / 2)))
        whole = Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")
        box = (round(x - side / 2), round(y - side / 2), round(x + side / 2), round(y + side / 2))
        return figures.Truth(np.asarray(picture), np.asarray(whole), hole.numpy(), np.asarray(layer)[..., 3], box)

    def paint(self, prompt: str, picture, mask, method: str, seed: int) -> Image.Image:
        guidance = {} if self.given.guidance is None else {"guidance_scale": self.given.guidance}
        return self.painter(
            inpaint.Request(prompt, picture, mask, method=method, seed=seed, steps=20, **guidance)
        ).image


def draws(world: World) -> None:
    """Measure what was drawn: is it the sticker asked for, sharp, like it, and without a visible box around it?"""
    found, tiles, labels, kind = world.judge, [], [], world.given.holes
    names = [sticker.name for sticker in world.seen.stickers]
    print(f"\n{date.today()}, {kind} holes\n\n| method | {' | '.join(figures.HEAD)} | pictures |")
    print("|---|" + "---|" * (len(figures.HEAD) + 1))
    for method in world.methods:
        rng, table = np.random.default_rng(SEED), figures.Table(found)
        for n in range(world.given.count):
            which = int(rng.integers(len(names)))
            picture, mask = world.place(rng, kind)
            image = world.paint(names[which], picture, mask, method, n)
            right = table.add(which, np.asarray(image), world.true(world.seen.stickers[which].picture, picture, mask))
            if n < 32:
                tiles.append(np.asarray(image))
                labels.append(("" if right else "not: ") + names[which])
        print(f"| {method} | {' | '.join(table.row())} | {world.given.count} |", flush=True)
    sheet(world, tiles, labels, 8)


def hues(world: World) -> None:
    """Measure whether a colour that the prompt asks for is drawn, for things with one other main colour."""
    print(f"\n{date.today()}\n\n| method | the hue asked for | pictures |\n|---|---|---|")
    single = [sticker for sticker in world.seen.stickers if figures.hue_share(np.asarray(sticker.picture)) > 0.8]
    tiles, labels = [], []
    for method in world.methods:
        rng, hits = np.random.default_rng(SEED), 0
        for n in range(world.given.count):
            sticker, name = single[rng.integers(len(single))], HUES[n % len(HUES)]
            picture, mask = world.place(rng)
            words = f"{name} {bare(sticker.name)}"
            image = np.asarray(world.paint(words, picture, mask, method, n))
            seen = figures.hue(image, world.true(sticker.picture, picture, mask).alpha > 200, HUES)
            hits += seen == name
            if n < 32:
                tiles.append(image)
                labels.append(words if seen == name else f"{words} ({seen})")
        print(f"| {method} | {hits / world.given.count:.1%} | {world.given.count} |", flush=True)
    sheet(world, tiles, labels, 8)


def keeps(world: World) -> None:
    """Measure the autoencoder's round trip, on the float16 weights as shipped."""
    vae = world.painter.model.vae.float().eval()
    with torch.no_grad():
        plain, scenes = measure.stickers(vae, world.seen.stickers, world.held_out.photos)
        print(
            f"\n{date.today()}\n\n| round trip at 256 px | dB |\n|---|---|\n"
            f"| held-out photos | {measure.photos(vae, world.held_out.photos):.2f} |\n"
            f"| stickers on grey | {plain:.2f} |\n| stickers on held-out photos | {scenes:.2f} |"
        )


LOAD = """import time; import inpaint, torch, diffusers
from diffusers import UNet2DConditionModel, AutoencoderKL; from transformers import CLIPTextModel, CLIPTokenizer
began = time.perf_counter(); inpaint.load({model!r}); print(time.perf_counter() - began)"""


def quick(world: World) -> None:
    """Measure seconds to load, to the first preview and to the finished picture: medians of seven runs."""
    command = [sys.executable, "-c", LOAD.format(model=str(world.given.model))]
    loads = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
        for _ in range(5)
    ]
    rng, firsts, totals = np.random.default_rng(SEED), [], []
    photo = world.held_out.photos[0]
    mask = Image.new("L", photo.size)
    x, y = photo.width // 2 - 128, photo.height // 2 - 128
    ImageDraw.Draw(mask).ellipse((x, y, x + 255, y + 255), fill=255)
    for n in range(8):
        request = inpaint.Request(
            "pizza", photo, mask, seed=int(rng.integers(1_000)), steps=20, fill="noise" if n % 2 else "auto"
        )  # the fill alternates, so that no run finds its picture in the cache
        began, first = time.perf_counter(), None
        for event in world.painter.stream(request):
            if first is None:
                event.preview()
                first = time.perf_counter() - began
        firsts.append(first)
        totals.append(time.perf_counter() - began)
    print(
        f"\n{date.today()}\n\n| hole of 256 px in {photo.width}×{photo.height}, 20 steps, guidance on, "
        f"{torch.get_num_threads()} threads | seconds |\n|---|---|\n"
        f"| load, libraries imported | {np.median(loads):.2f} |\n| first preview | {np.median(firsts[1:]):.2f} |\n"
        f"| finished | {np.median(totals[1:]):.2f} |"
    )


def sheet(world: World, tiles: list, labels: list[str], columns: int) -> None:
    if world.given.sheet:
        world.given.sheet.parent.mkdir(parents=True, exist_ok=True)
        grid(tiles, labels, columns).save(world.given.sheet)


def _check_photos(folder: Path) -> None:
    """Exit with one sentence if the photos are missing."""
    if not folder.is_dir() or not any(folder.iterdir()):
        sys.exit(f"There are no photos in {folder}. training/README.md says where to get them; --photos names them.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("draws", "colours", "keeps", "quick"))
    parser.add_argument("--model", type=Path, default=loading.BUILTIN)
    parser.add_argument("--work", type=Path, default=Path("training/work"))
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--holes", choices=("plain", "painted"), default="plain")
    parser.add_argument("--methods", nargs="+", choices=("inpaint", "base"), default=["inpaint", "base"])
    parser.add_argument("--sheet", type=Path)
    given = parser.parse_args()
    _check_photos(given.photos or given.work / "photos")
    measures = {"draws": draws, "colours": hues, "keeps": keeps, "quick": quick}
    measures[given.what](World(given))


if __name__ == "__main__":
    main()
