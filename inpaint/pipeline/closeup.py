"""Repaint one close-up: encode it once, walk it for each batch of seeds, join the patches into the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil, inf
from typing import Any

from PIL import Image
from torch import Tensor

from ..diffusion import schedule
from ..diffusion.conditioning import Text
from ..diffusion.noise import Noise
from ..diffusion.protocols import LatentStep, Sampler
from ..diffusion.sampling import InpaintUNet, MaskedBase, Strategy, denoise
from ..diffusion.schedulers import sampler
from ..errors import ModelError
from ..pixels import blending, fill, mask
from ..pixels.crop import Crop
from ..pixels.ground import drawn
from ..request import Request
from .branch import Branch
from .latents import LatentCache, to_hole, to_images
from .protocols import Model
from .scene import Scene

LEVELS = 8  # a soft mask becomes up to 8 nested holes, and its masked picture is encoded once for each


class CloseUp(Scene):
    """One close-up: the part of the picture that the model sees, and its repainting.

    picture  RGB at the crop's working size; None paints from the prompt alone
    hole     L at working size, white = repaint; None repaints everything
    filled   the picture with its hole filled, if that is done already
    """

    def __init__(
        self,
        model: Model,
        encoder: LatentCache,
        request: Request,
        method: str,
        crop: Crop,
        picture: Image.Image | None,
        hole: Image.Image | None,
        filled: Image.Image | None = None,
        ground: Image.Image | None = None,
    ):
        w, h = crop.size
        hole = hole or Image.new("L", crop.size, 255)
        level = (mask.to_latent_grid(hole, model.factor) * LEVELS).ceil().to(model.device)
        shape = (model.channels, h // model.factor, w // model.factor)
        super().__init__(encoder, request, crop, shape, picture, hole, level)
        self.model, self.method = model, method
        self.contexts: dict[int, Tensor] = {}
        self.ground = ground
        if picture is not None:
            self.filled = filled or fill.fill(picture, _fully(self.hole), self._fill())
            self.x0 = encoder(self.filled)

    def walk(self, seeds: tuple[int, ...], text: Text, branch: Branch | None = None) -> Iterator[LatentStep]:
        """Yield the steps from noise to picture, one image per seed, or those after the branch's kept step.

        text has two rows, the unconditional one first.  After each step `noise` stands where it stood then.
        """
        request, self.noise = self.request, Noise(seeds, self.shape, self.model.device)
        first = self.noise()  # [B, 4, h, w]
        walker = sampler(
            request.sampler,
            self.model,
            request.steps,
            request.strength,
            exact=request.exact_steps,
            eta=request.eta or 0.0,
            noise=self.noise,
            predicts=self.model.predicts[self.method],
            spacing=request.spacing,
            tokens=self.crop.size[0] * self.crop.size[1] // self.model.grid**2,
        )
        self.strategy = self._strategy(walker, self.noise if request.fresh_noise else lambda: first)
        every = walker.timesteps
        x = self._start(walker, first) if branch is None else self._resumed(walker, first, branch)
        done = len(every) - len(walker.timesteps)
        if branch and (branch.finish or not walker.timesteps):
            yield replace(_latents(branch.step), x=x, pred_x0=x)
            return
        if self.method == "inpaint":
            for t in walker.timesteps:  # encode now: during the walk the VAE might push the UNet out of memory
                self.context(t)
        for step in self._denoise(walker, every, x, text.repeat_interleave(len(seeds), 0)):
            yield replace(step, index=done + step.index, total=len(every))

    def _denoise(self, walker: Sampler, every: list, x: Tensor, text: Text) -> Iterator[LatentStep]:
        """Run the remaining steps of `every` timestep from x [B, 4, h, w]; text has 2 B rows."""
        request, fast = self.request, self.request.speed == "fast"
        embedded = self.model.embeds_guidance(self.method)
        options: dict[str, Any] = {"fast": True} if fast else {}
        options |= {"guidance": guidance_of(request)} if embedded else {}
        unet = self.model.unet(self.method, **options)
        guided = every[: round(request.guidance_end * len(every))]
        interval = (guided[-1] if guided else inf, inf)
        scale = 1.0 if embedded else guidance_of(request)
        return denoise(unet, text, self.strategy, walker, x, scale, request.guidance_rescale, interval)

    def _start(self, walker: Sampler, first: Tensor) -> Tensor:
        """Return x at the first timestep [B, 4, h, w]: pure noise, or the picture noised to it."""
        if self.request.strength == 1 or self.x0 is None:
            return first * walker.init_noise_sigma
        x0 = self.x0
        if self.request.fill == "noise":
            hole = (self.level == LEVELS).float()
            x0 = x0 * (1 - hole) + self.noise() * hole
        return walker.q_sample(x0, walker.timesteps[0], first)

    def _resumed(self, walker: Sampler, first: Tensor, branch: Branch) -> Tensor:
        """Return x [1, 4, h, w] after the kept step, the walk moved there; pred_x0 if no step is left.

        On the same walk that is the step's own x.  On another one pred_x0 is noised with its own eps to the timestep
        that comes next there: a DDIM step, which tells the UNet the level that x is really at.  Another seed noises
        pred_x0 anew.
        """
        step, request = branch.step, self.request
        branch.check(self)
        x0 = step.pred_x0[:1].to(self.model.device)
        goes_on = branch.same_walk(request) and request.seed == step.seed
        memory = tuple(kept[:1].to(self.model.device) for kept in step.memory) if goes_on else ()
        walker.start_at(branch.next(walker.timesteps, request), memory)
        if branch.finish or not walker.timesteps:
            return step.x[:1].to(self.model.device) if branch.same_walk(request) and not branch.finish else x0
        if request.seed != step.seed:
            return walker.q_sample(x0, walker.timesteps[0], first)
        self.noise.generators[0].set_state(step.noise[0])
        if goes_on:
            return step.x[:1].to(self.model.device)
        level = schedule.level(self.model.schedule, self.model.alphas_cumprod, step.t)
        return walker.q_sample(x0, walker.timesteps[0], branch.eps(level).to(self.model.device))

    def patches(self, x: Tensor) -> list[Image.Image]:
        """Decode finished latents [B, 4, h, w] to RGB patches at the size of the crop's box, one by one."""
        if not x.isfinite().all():
            raise ModelError(
                "The UNet produced invalid numbers, even in float32.", "Try another seed, prompt or model."
            )
        latents, hold = self.strategy.restore(x), self.request.colour_hold
        patches = [image for latent in latents.split(1) for image in to_images(self.model.decode(latent))]
        if hold and self.filled is not None:
            patches = [blending.hold_colours(patch, self.filled, hold) for patch in patches]
        if self.ground is None or self.x0 is None:
            return [self.crop.resize_back(patch) for patch in patches]
        (trip,) = to_images(self.model.decode(self.x0))
        return [self._on_ground(patch, trip, self.ground) for patch in patches]

    def _on_ground(self, patch: Image.Image, trip: Image.Image, ground: Image.Image) -> Image.Image:
        """Return a patch at the size of the box, with the ground where nothing was drawn."""
        thing = self.crop.resize_back(drawn(patch, trip, self.hole), Image.Resampling.BILINEAR)
        return Image.composite(self.crop.resize_back(patch), ground, thing)

    def join(
        self,
        original: Image.Image,
        patch: Image.Image,
        composite: Image.Image,
        hole: Image.Image,
        alpha: Image.Image | None = None,
    ) -> tuple[Image.Image, str]:
        """Join a patch into the original crop (RGB, the others L, all at box size); return it and the method used."""
        request = self.request
        if request.colour_match:
            patch = blending.match_colours(patch, original, hole, request.colour_match)
        return blending.join(original, patch, composite, request.finish, request.blend, alpha)

    def holes(self, t: float) -> Tensor:
        """Return the hole at t, [1, 1, h, w], 1 = repaint: a cell may change once t is below its level."""
        return (self.level > self._closed(t)).float()

    def context(self, t: float) -> Tensor:
        """Return the inputs of an inpainting network beside x: the hole at t, and the picture with it cut out."""
        closed = self._closed(t)
        if closed not in self.contexts:
            picture = self.picture or Image.new("RGB", self.crop.size, (128, 128, 128))
            hole = self.hole.point(lambda v: 255 * (ceil(v * LEVELS / 255) > closed))
            masked = self.encoder(picture, hole)
            self.contexts[closed] = self.model.context(self.holes(t), to_hole(hole), masked)
        return self.contexts[closed]

    def _closed(self, t: float) -> int:
        """Return the highest level, 0 … 7, whose cells must still stay at t."""
        return min(LEVELS - 1, int(t * LEVELS / len(self.model.alphas_cumprod)))  # a flow begins at T itself

    def _strategy(self, walker: Sampler, noise: Callable[[], Tensor]) -> Strategy:
        background = None
        if self.x0 is not None and bool((self.level < LEVELS).any()):
            background = MaskedBase(self.x0, self.holes, walker, noise, self.request.two_sided)
        if self.method == "base":
            return background or Strategy()
        return InpaintUNet(self.context, background if self.request.background else None)

    def _fill(self) -> str:
        """Return the fill; `auto` keeps the original if the walk begins from it, and blurs it if not."""
        if self.request.fill == "auto":
            return "original" if self.request.strength < 1 else "blur"
        return self.request.fill


def guidance_of(request: Request) -> float:
    """Return the guidance scale of a resolved request."""
    return 1.0 if request.guidance_scale is None else request.guidance_scale


def _latents(step: LatentStep) -> LatentStep:
    """Return a copy of the step without references to its run."""
    return LatentStep(step.index, step.total, step.t, step.x, step.pred_x0, step.seen, step.memory)


def _fully(hole: Image.Image) -> Image.Image:
    """Return where the picture may change completely; only this is filled, so that partly kept pixels stay."""
    return hole.point(lambda v: 255 * (v >= mask.FULL))
