"""One close-up being repainted: encoded once, walked for each batch of seeds, joined back into the picture."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, inf

import torch
from PIL import Image
from torch import Tensor

from ..diffusion.noise import Noise
from ..diffusion.sampling import InpaintUNet, MaskedBase, Step, Strategy, denoise
from ..diffusion.schedulers import sampler
from ..errors import ModelError
from ..pixels import blending, fill, mask
from ..pixels.crop import Crop
from ..request import Request
from . import preview
from .latents import Encoder, to_images, to_pixels

LEVELS = 8  # a soft mask is walked in so many nested holes, so its masked picture is encoded at most as often


class CloseUp:
    """What the model is shown of one part of the picture, and what it makes of it.

    crop       where it lies, and the working size in pixels
    picture    RGB at the crop's working size; None paints from the prompt alone
    hole       L at working size, white = repaint; None repaints everything
    """

    def __init__(
        self,
        model,
        encoder: Encoder,
        request: Request,
        method: str,
        crop: Crop,
        picture: Image.Image | None,
        hole: Image.Image | None,
    ):
        self.model, self.encoder, self.request, self.method = model, encoder, request, method
        self.crop, self.picture = crop, picture
        w, h = crop.size
        self.shape = (model.channels, h // model.factor, w // model.factor)
        self.hole = hole or Image.new("L", crop.size, 255)
        self.level = (mask.to_latent_grid(self.hole, model.factor) * LEVELS).ceil().to(model.device)  # [1, 1, h, w]
        self.T = len(model.alphas_cumprod)
        self.contexts: dict[int, Tensor] = {}
        if picture is not None:
            self.filled = fill.fill(picture, _fully(self.hole), self._fill())
            self.x0 = encoder(self.filled)  # [1, 4, h, w]
        self.colours: preview.Preview | None = None

    def walk(self, seeds: tuple[int, ...], text: Tensor) -> Iterator[Step]:
        """The steps from noise to picture for one image a seed; text [2, n, d], the unconditional half first."""
        request, noise = self.request, Noise(seeds, self.shape, self.model.device)
        first = noise()  # [B, 4, h, w]
        walker = sampler(
            request.sampler,
            self.model,
            request.steps,
            request.strength,
            exact=request.exact_steps,
            eta=request.eta,
            noise=noise,
        )
        self.strategy = self._strategy(walker, noise if request.fresh_noise else lambda: first)
        if request.strength == 1 or self.picture is None:
            x = first * walker.init_noise_sigma
        else:
            x = walker.q_sample(self._start(noise), walker.timesteps[0], first)
        yield from self.denoise(walker, walker.timesteps, x, text.repeat_interleave(len(seeds), 0))

    def denoise(self, walker, every: list, x: Tensor, text: Tensor) -> Iterator[Step]:
        """The walker's steps from x [B, 4, h, w], of the walk over `every` timestep; text [2 B, n, d]."""
        request, fast = self.request, self.request.speed == "fast"
        unet = self.model.unet(self.method, fast=True) if fast else self.model.unet(self.method)
        guided = every[: round(request.guidance_end * len(every))]
        interval = (guided[-1] if guided else inf, inf)
        return denoise(
            unet, text, self.strategy, walker, x, request.guidance_scale, request.guidance_rescale, interval
        )

    def patches(self, x: Tensor) -> list[Image.Image]:
        """The finished latents [B, 4, h, w] as RGB patches at the size of the crop's box, their colours held."""
        if not x.isfinite().all():
            half = getattr(self.model, "dtype", torch.float32) != torch.float32
            raise ModelError(
                "The UNet produced no valid numbers.",
                "Load the model with dtype float32." if half else "Try another seed, prompt or model.",
            )
        patches, hold = to_images(self.model.decode(self.strategy.finish(x))), self.request.colour_hold
        if hold and self.picture is not None:
            patches = [blending.hold_colours(patch, self.filled, hold) for patch in patches]
        return [self.crop.place(patch) for patch in patches]

    def join(
        self, original: Image.Image, patch: Image.Image, composite: Image.Image, hole: Image.Image
    ) -> tuple[Image.Image, str]:
        """The patch in the original crop (RGB, and masks L, all at box size) and the finish that joined them."""
        request = self.request
        if request.colour_match:
            patch = blending.match_colours(patch, original, hole, request.colour_match)
        return blending.join(original, patch, composite, request.finish, request.blend)

    def look(self, pred_x0: Tensor) -> Image.Image:
        """A cheap look at a latent [1, 4, h, w]: RGB, one pixel a cell."""
        if self.colours is None:
            towards = self.encoder.prior()
            self.colours = (
                preview.Preview(towards)
                if self.picture is None
                else preview.fit(self.x0, to_pixels(self.filled), towards)
            )
        return self.colours(pred_x0)

    def holes(self, t: float) -> Tensor:
        """[1, 1, h, w], 1 = repaint at t: a soft mask's level says from which t on a cell may change."""
        return (self.level > self._rung(t)).float()

    def context(self, t: float) -> Tensor:
        """[1, 1 + 4, h, w] for the 9-channel UNet: the hole, and the picture with the hole cut out."""
        rung = self._rung(t)
        if rung not in self.contexts:
            picture = self.picture or Image.new("RGB", self.crop.size, (128, 128, 128))
            hole = self.hole.point(lambda v: 255 * (ceil(v * LEVELS / 255) > rung))
            self.contexts[rung] = torch.cat([self.holes(t), self.encoder(picture, hole)], dim=1)
        return self.contexts[rung]

    def _rung(self, t: float) -> int:
        return int(t * LEVELS / self.T)

    def _strategy(self, walker, noise):
        masked = self.picture is not None and bool((self.level < LEVELS).any())
        background = None
        if masked:
            background = MaskedBase(self.x0, self.holes, walker.q_sample, noise, self.request.two_sided)
        if self.method == "base":
            return background or Strategy()
        return InpaintUNet(self.context, background if self.request.background else None)

    def _start(self, noise: Noise) -> Tensor:
        """The clean latent the walk begins from when strength is below 1."""
        if self.request.fill != "noise":
            return self.x0
        hole = (self.level == LEVELS).float()
        return self.x0 * (1 - hole) + noise() * hole

    def _fill(self) -> str:
        """`auto` keeps the original where the walk begins from it, and blurs it away where it does not."""
        if self.request.fill == "auto":
            return "original" if self.request.strength < 1 else "blur"
        return self.request.fill


def _fully(hole: Image.Image) -> Image.Image:
    """Where the picture may change completely: only there is it filled, what is partly kept stays itself."""
    return hole.point(lambda v: 255 * (v >= mask.FULL))
