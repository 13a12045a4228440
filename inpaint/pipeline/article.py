"""The article's program, exactly: `Request(article=True)` runs it, quirks included.

It crops and resizes to the model's size, scales pixels by 1/127, samples the VAE's posterior, takes the mask at
every eighth pixel, noises one level further than it starts from, noises the original anew at each step, and
returns the raw decode: nothing is pasted back.  What we do instead, and why, is a table in the README.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..diffusion import schedule
from ..diffusion.sampling import DDIM, MaskedBase, Step, Strategy, denoise
from ..errors import InvalidRequest


def crop_and_resize(picture: Image.Image, height: int, width: int) -> np.ndarray:
    """uint8 [H, W] or [H, W, 3]: the picture scaled to cover H × W, its middle kept."""
    ratio, own = width / height, picture.width / picture.height
    w = width if ratio > own else picture.width * height // picture.height
    h = height if ratio <= own else picture.height * width // picture.width
    canvas = Image.new("L" if len(np.shape(picture)) == 2 else "RGB", (width, height))
    canvas.paste(picture.resize((w, h), Image.Resampling.LANCZOS), (width // 2 - w // 2, height // 2 - h // 2))
    return np.array(canvas)


def to_pixels(image: np.ndarray) -> Tensor:
    """[1, 3, H, W] in [-1, 1.0079]: the article divides by 127."""
    return torch.from_numpy(image.astype(np.float32) / 127.0 - 1.0).permute(2, 0, 1)[None]


def to_uint8(pixels: Tensor) -> np.ndarray:
    """uint8 [B, H, W, 3], truncated: in and out again the picture grows 0.4 % brighter."""
    return (pixels.permute(0, 2, 3, 1).cpu().numpy() * 127.5 + 127.5).clip(0, 255).astype(np.uint8)


def hard_hole(mask: np.ndarray, factor: int = 8) -> Tensor:
    """[1, 1, h, w], 1 = repaint: every eighth pixel of the mask [H, W], cut at 128."""
    binary = torch.from_numpy((mask.astype(np.float32) / 255.0 >= 0.5).astype(np.float32))
    return binary[::factor, ::factor][None, None]


def start(steps: int, strength: float) -> int:
    """t_enc: the original is noised to this index of the timesteps, the walk starts one below it."""
    return min(int(strength * steps), steps - 1)


def intermediates(steps: list[Step], log_every_t: int = 100) -> list[Step]:
    """The steps the article's sampler logs: the first, the last and every log_every_t-th, counted from the end."""
    return [s for s in steps if (s.total - s.index - 1) % log_every_t == 0 or s.index == 0]


class Dice:
    """The program's one stream of noise.  Its latents are channels_last, so `like` draws in that order."""

    def __init__(self, seed: int, shape: tuple[int, ...]):
        self.generator, self.shape = torch.Generator().manual_seed(seed), shape

    def __call__(self) -> Tensor:
        return torch.randn(self.shape, generator=self.generator)

    def like(self) -> Tensor:
        layout = torch.empty(self.shape).to(memory_format=torch.channels_last)
        return layout.normal_(generator=self.generator)


def stream(job) -> Iterator[Step]:
    """Run `job` the article's way; its images become the raw decodes, of the model's size."""
    request, model = job.request, job.model
    if request.method == "inpaint" or "base" not in model.methods:
        raise InvalidRequest("article", "The article's program runs 4-channel UNets only.", "Use method base.")
    height, width = ((n or model.side) // 8 * 8 for n in (request.height, request.width))
    shape = (request.count, model.channels, height // model.factor, width // model.factor)
    dice, T = Dice(job.seeds[0], shape), len(model.alphas_cumprod)
    every = schedule.timesteps(request.steps, T, "article")
    ddim = DDIM(model.alphas_cumprod, every[::-1], T // request.steps, request.eta, dice)
    strategy, x = Strategy(), None
    if job.picture is not None:
        pixels = to_pixels(crop_and_resize(job.picture.rgb, height, width)).expand(request.count, -1, -1, -1)
        x0 = model.encode(pixels.to(memory_format=torch.channels_last), noise=dice())
        n = start(request.steps, request.strength)
        x, ddim.timesteps = ddim.q_sample(x0, every[n], dice.like()), every[:n][::-1]
        mask = job.masks.painted.whole() if request.expand else request.mask
        if mask is not None:
            hole = hard_hole(crop_and_resize(mask, height, width), model.factor)
            strategy = MaskedBase(x0, lambda t: hole, ddim.q_sample, dice.like, two_sided=False)
    x = dice() if x is None else x
    prompts = [request.negative_prompt, f"{request.prompt}, {job.quality()}"]
    text = model.embed(prompts, clip_skip=request.clip_skip, layer=request.text_layer, chunks=1)
    text = text.repeat_interleave(request.count, 0)
    for step in denoise(model.unet("base"), text, strategy, ddim, x, request.guidance_scale):
        if not request.eta:
            dice()  # drawn and multiplied by zero there
        x, job.steps = step.x, job.steps + 1
        yield step
    job.images = [Image.fromarray(image) for image in to_uint8(model.decode(x))]
    job.masks = job.picture = None  # the result is a new picture
