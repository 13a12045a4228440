"""Run the article's program exactly, quirks included: `Request(article=True)` asks for it.

It crops and resizes to the model's size, scales pixels by 1/127, samples the VAE's posterior, takes the mask at
every eighth pixel, noises one level further than it starts from, noises the original anew at each step, and
returns the raw decode: nothing is pasted back.  A table in the README says what we do instead, and why.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..diffusion import schedule
from ..diffusion.sampling import DDIM, MaskedBase, Strategy, denoise
from ..errors import InvalidRequest
from ..pixels import crop, expand, mask
from .branch import Branch
from .closeup import guidance_of
from .filling import Filled
from .job import Job
from .passes import Pass
from .scene import Scene
from .step import PreviewRenderer, Step


def crop_and_resize(picture: Image.Image, height: int, width: int) -> np.ndarray:
    """Scale the picture to cover H × W and keep its middle: uint8 [H, W] or [H, W, 3]."""
    ratio, own = width / height, picture.width / picture.height
    w = width if ratio > own else picture.width * height // picture.height
    h = height if ratio <= own else picture.height * width // picture.width
    canvas = Image.new("L" if np.asarray(picture).ndim == 2 else "RGB", (width, height))
    canvas.paste(picture.resize((w, h), Image.Resampling.LANCZOS), (width // 2 - w // 2, height // 2 - h // 2))
    return np.array(canvas)


def to_pixels(image: np.ndarray) -> Tensor:
    """Turn uint8 [H, W, 3] into [1, 3, H, W] in [-1, 1.0079]: the article divides by 127."""
    return torch.from_numpy(image.astype(np.float32) / 127.0 - 1.0).permute(2, 0, 1)[None]


def to_uint8(pixels: Tensor) -> np.ndarray:
    """Convert [B, 3, H, W] to uint8 [B, H, W, 3], truncated; each round trip brightens the picture by 0.4 %."""
    return (pixels.permute(0, 2, 3, 1).cpu().numpy() * 127.5 + 127.5).clip(0, 255).astype(np.uint8)


def hard_hole(mask: np.ndarray, factor: int = 8) -> Tensor:
    """Return every eighth pixel of the mask [H, W], thresholded at 128: [1, 1, h, w], 1 = repaint."""
    binary = torch.from_numpy((mask.astype(np.float32) / 255.0 >= 0.5).astype(np.float32))
    return binary[::factor, ::factor][None, None]


def start(steps: int, strength: float) -> int:
    """Return t_enc: the original is noised to this index of the timesteps, the walk starts one below."""
    return min(int(strength * steps), steps - 1)


class Dice:
    """Draw the program's single stream of noise.  Its latents are channels_last, so `like` draws in that order."""

    def __init__(self, seed: int, shape: tuple[int, ...], device: torch.device):
        self.generator, self.shape, self.device = torch.Generator().manual_seed(seed), shape, device

    def __call__(self) -> Tensor:
        return torch.randn(self.shape, generator=self.generator).to(self.device)

    def like(self) -> Tensor:
        layout = torch.empty(self.shape).to(memory_format=torch.channels_last)
        return layout.normal_(generator=self.generator).to(self.device)


class ArticleJob(Job):
    """Run a request as the article's program does: images are the raw decodes, of the model's size."""

    def _prepare(self) -> None:
        request, side = self.asked, self.model.side
        if request.method == "inpaint" or "base" not in self.model.methods:
            raise InvalidRequest("article", "The article's program runs 4-channel UNets only.", "Use method base.")
        if schedule.is_flow(self.model.schedule):
            raise InvalidRequest(
                "article",
                "The article's program cannot run this kind of model.",
                "Leave the option article off.",
            )
        width, height = (max(64, (n or side) // 8 * 8) for n in (request.width, request.height))
        self.source, self.painted = request.picture, request.mask
        if any(getattr(request, name) for name in ("expand", "invert", "mask_from_alpha", "fill_holes", "grow")):
            # the article's program has no such options, so they are applied beforehand
            masks = mask.prepare(request.picture, request) if request.picture else None
            self.painted = masks and masks.painted.whole()
        if request.expand and request.picture:
            self.source = expand.expand(request.picture, request.expand)
        self.request, self.picture, self.masks = request, None, None  # nothing is pasted back: the result is new
        whole = crop.Crop(crop.Box(0, 0, width, height), (width, height))
        self.crops = [(whole, whole.box)]
        self.passes = [Pass(whole, whole.box, request, 0, len(self.seeds))]
        self.images = [Image.new("RGB", whole.size)] * len(self.seeds)

    def paint(self) -> Generator[Step | Filled, None, None]:
        """Walk all variations in one batch, as the program does."""
        request, model, branch, scene = self.request, self.model, self.branch, self._scene()
        T = len(model.alphas_cumprod)
        dice = Dice(self.seeds[0], (len(self.seeds), *scene.shape), model.device)
        every = schedule.timesteps(request.steps, T, "article")
        eta, predicts = request.eta or 0.0, model.predicts["base"]
        ddim = DDIM(model.alphas_cumprod, every[::-1], T // request.steps, eta, dice, predicts)
        with self.timing.stage("encode"):
            x, strategy = self._begin(scene, ddim, dice, every)
        with self.timing.stage("text"):
            prompts = [request.negative_prompt, f"{request.prompt}, {self.quality()}"]
            text = model.embed(prompts, clip_skip=request.clip_skip, layer=request.text_layer, chunks=1)
        total, render = len(ddim.timesteps), PreviewRenderer(scene, self.images[0])
        if branch:
            x = self._resume(branch, scene, ddim, dice)
        done = total - len(ddim.timesteps)
        text = text.repeat_interleave(len(self.seeds), 0)
        walk = denoise(model.unet("base"), text, strategy, ddim, x, guidance_of(request))
        for step in self.timing.each("denoise", walk):
            if not request.eta:
                dice()  # the program draws it all the same, and multiplies it by zero
            x, self.steps = step.x, self.steps + 1
            step = replace(step, index=done + step.index, total=total)
            yield self.shown(step, 0, self.seeds[0], (dice.generator.get_state(),), render)
        with self.timing.stage("decode"):
            self.images = [Image.fromarray(image) for image in to_uint8(model.decode(x))]

    def _scene(self) -> Scene:
        """Return the picture and the hole as the program crops them."""
        model, (whole, _) = self.model, self.crops[0]
        (width, height), picture, hole = whole.size, None, Image.new("L", whole.size, 255)
        if self.source is not None:
            picture = Image.fromarray(crop_and_resize(self.source.rgb, height, width))
        if self.painted is not None:
            hole = Image.fromarray(crop_and_resize(self.painted, height, width))
        level = hard_hole(np.asarray(hole), model.factor).to(model.device)
        shape = (model.channels, height // model.factor, width // model.factor)
        return Scene(self.encoder, self.request, whole, shape, picture, hole, level)

    def _begin(self, scene: Scene, ddim: DDIM, dice: Dice, every: list[int]) -> tuple[Tensor, Strategy]:
        """Return x at the first timestep and the strategy; the walk is cut to where the strength begins."""
        if scene.picture is None:
            return dice(), Strategy()
        pixels = to_pixels(np.asarray(scene.picture)).expand(len(self.seeds), -1, -1, -1)
        x0 = self.model.encode(pixels.to(memory_format=torch.channels_last), noise=dice())
        scene.x0, scene.filled = x0[:1], scene.picture
        n = start(self.request.steps, self.request.strength)
        x, ddim.timesteps = ddim.q_sample(x0, every[n], dice.like()), every[:n][::-1]
        if self.painted is None:
            return x, Strategy()
        return x, MaskedBase(x0, lambda t: scene.level, ddim, dice.like, two_sided=False)

    def _resume(self, branch: Branch, scene: Scene, ddim: DDIM, dice: Dice) -> Tensor:
        """Return x after the kept step, with the walk moved there; the program itself cannot change its schedule."""
        branch.check(scene)
        step = branch.step
        if branch.finish:
            ddim.timesteps = []
            return step.pred_x0[:1].to(self.model.device)
        if not branch.same_walk(self.request) or self.request.seed != step.seed:
            raise InvalidRequest(
                "article",
                "The article's program can continue a step only with the step's own seed, steps and strength.",
                "Keep them, or start a new run.",
            )
        ddim.start_at(branch.next(ddim.timesteps, self.request))
        dice.generator.set_state(step.noise[0])
        return step.x[:1].to(self.model.device)
