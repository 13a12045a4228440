"""Does the built-in model draw what is asked, erase what is there, keep what it shall keep, and is it quick?

    python -m bench.builtin draws|erases|keeps|quick [--model FOLDER] [--work training/work] [--photos FOLDER]
                            [--count 100] [--guidance G] [--sheet PATH]

On the photos that training never saw (training/photos.py).  `draws` and `erases` ask a classifier that was trained
on renderings of stickers alone (bench/judge.py); `erases` also needs `pip install opencv-python-headless`, its peer.
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
from training import measure, photos, stickers
from training.holes import hole
from training.scenes import Library, turned
from training.sheet import grid

from . import judge

SIZE = 256  # px: the photos' middle squares
SIDES = (96, 160)  # px: the holes
SEED = 2_026


class World:
    """Stickers, held-out photos, the judge and the painter."""

    def __init__(self, given: argparse.Namespace):
        self.given = given
        stickers.fetch(given.work / "npm")
        folder = given.photos or given.work / "photos"
        self.seen = Library(photos.load(folder), stickers.load(given.work / "npm"))
        self.held_out = Library(photos.load(folder, held_out=True), self.seen.stickers)
        # A folder is measured as it would be in the built-in model's place: its guidance, no words added.
        loading.FAMILIES["builtin"] = replace(loading.FAMILIES["builtin"], base=(str(given.model),))
        self.painter = inpaint.load("builtin")
        self.methods = [method for method in ("inpaint", "base") if method in self.painter.model.methods]

    @property
    def judge(self):
        """The classifier, trained on the first call; said how good it is itself."""
        found = judge.load(self.seen, self.given.work)
        right, bare = judge.accuracy(found, self.seen, self.held_out)
        print(f"The classifier names {right:.1%} of renderings on held-out photos, and {bare:.1%} of bare grounds.")
        return found

    def place(self, rng: Generator) -> tuple[Image.Image, Image.Image, tuple[int, int, int, int]]:
        """(photo of 256 × 256 px, hole, the hole's box): the middle of a held-out photo, at one of two scales."""
        photo = self.held_out.photos[rng.integers(len(self.held_out.photos))]
        picture = photos.middle(photo, SIZE, share=float(rng.choice((1.0, 0.6))))
        side = int(rng.integers(SIDES[0], SIDES[1] + 1))
        x, y = (int(at) for at in rng.integers(8, SIZE - side - 7, 2))
        box, mask = (x, y, x + side, y + side), Image.new("L", (SIZE, SIZE))
        draw = ImageDraw.Draw(mask)
        (draw.rectangle if rng.random() < 0.5 else draw.ellipse)((x, y, x + side - 1, y + side - 1), fill=255)
        return picture, mask, box

    def paint(self, prompt: str, picture, mask, method: str, seed: int) -> Image.Image:
        guidance = {} if self.given.guidance is None else {"guidance_scale": self.given.guidance}
        return self.painter(
            inpaint.Request(prompt, picture, mask, method=method, seed=seed, steps=20, **guidance)
        ).image


def draws(world: World) -> None:
    """Nearest sticker of all to what was drawn: is it the one asked for?"""
    found, tiles, labels = world.judge, [], []
    names = [sticker.name for sticker in world.seen.stickers]
    print(f"\n{date.today()}\n\n| method | the sticker asked for | among the first five | pictures |")
    print("|---|---|---|---|")
    for method in world.methods:
        rng, hits, five = np.random.default_rng(SEED), 0, 0
        for n in range(world.given.count):
            which = int(rng.integers(len(names)))
            picture, mask, box = world.place(rng)
            image = world.paint(names[which], picture, mask, method, n)
            guesses = judge.name(found, [image.crop(box)], 5)[0].tolist()
            hits, five = hits + (guesses[0] == which), five + (which in guesses)
            if n < 32:
                tiles.append(np.asarray(image))
                labels.append(("" if guesses[0] == which else "not: ") + names[which])
        n = world.given.count
        print(f"| {method} | {hits / n:.1%} | {five / n:.1%} | {n} |", flush=True)
    sheet(world, tiles, labels, 8)


def gradients(picture: np.ndarray, where: np.ndarray) -> np.ndarray:
    """[32]: how often each strength of a brightness step occurs inside the hole; sums to 1."""
    grey = picture.astype(float).mean(2)
    strength = np.hypot(*np.gradient(grey))[where]
    counts = np.histogram(np.minimum(strength, 63.9), bins=32, range=(0, 64))[0]
    return counts / max(1, counts.sum())


def compared(picture: np.ndarray, truth: np.ndarray, where: np.ndarray) -> tuple[float, float, float]:
    """(PSNR in dB, mean colour error in levels, gradient histogram distance 0-2) inside the hole."""
    a, b = picture[where].astype(float), truth[where].astype(float)
    psnr = 10 * np.log10(255**2 / max(1e-6, ((a - b) ** 2).mean()))
    colour = np.abs(a.mean(0) - b.mean(0)).mean()
    return psnr, colour, np.abs(gradients(picture, where) - gradients(truth, where)).sum()


def erases(world: World) -> None:
    """Holes over plain photo and over stickers, no prompt, beside OpenCV's Telea."""
    import cv2

    found, nothing = world.judge, len(world.seen.stickers)
    ways = {way: [] for way in (*world.methods, "telea")}
    bare, tiles, labels, rng = dict.fromkeys(ways, 0), [], [], np.random.default_rng(SEED + 1)
    for n in range(world.given.count):
        truth, mask, box = world.place(rng)
        picture, kind = truth.copy(), "photo"
        if n % 2:
            stamp = turned(rng, world.seen.stickers[rng.integers(nothing)], int(0.9 * (box[2] - box[0])))
            at = tuple(int((box[k] + box[k + 2] - stamp.width) / 2) for k in (0, 1))
            picture.paste(stamp, at, stamp)
            layer = Image.new("L", picture.size)
            layer.paste(stamp.getchannel("A"), at)
            mask, kind = Image.fromarray(255 * hole(rng, layer, box).astype(np.uint8)), "sticker"
        where = np.asarray(mask) > 0
        results = {method: np.asarray(world.paint("", picture, mask, method, n)) for method in world.methods}
        results["telea"] = cv2.inpaint(np.array(picture), np.array(mask), 5, cv2.INPAINT_TELEA)
        for way, result in results.items():
            ways[way].append(compared(result, np.asarray(truth), where))
            bare[way] += int(judge.name(found, [Image.fromarray(result).crop(box)])[0, 0] == nothing)
        if n < 8:
            holed = Image.composite(Image.new("RGB", picture.size, "white"), picture, mask)
            tiles += [np.asarray(truth), np.asarray(holed), *results.values()]
            labels += [kind, "hole", *results]
    print(
        f"\n{date.today()}, {world.given.count} holes\n\n"
        "| filled by | no sticker seen | PSNR against the true photo | mean colour error | gradients' distance |\n"
        "|---|---|---|---|---|"
    )
    for way, rows in ways.items():
        psnr, colour, texture = np.mean(rows, axis=0)
        print(f"| {way} | {bare[way] / len(rows):.1%} | {psnr:.2f} dB | {colour:.1f} levels | {texture:.3f} |")
    sheet(world, tiles, labels, 2 + len(ways))


def keeps(world: World) -> None:
    """The autoencoder's round trip, on the float16 weights as they are shipped."""
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
    """Seconds to load, to the first preview and to the finished picture: medians of seven runs."""
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
        )  # another way to fill, so that nothing is remembered
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("draws", "erases", "keeps", "quick"))
    parser.add_argument("--model", type=Path, default=loading.BUILTIN)
    parser.add_argument("--work", type=Path, default=Path("training/work"))
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--sheet", type=Path)
    given = parser.parse_args()
    globals()[given.what](World(given))


if __name__ == "__main__":
    main()
