"""Hold the part of a picture that a walk repaints, at the working size, for previews and figures."""

from __future__ import annotations

import numpy as np
from PIL import Image
from torch import Tensor

from ..pixels.crop import Crop
from ..request import Request
from . import preview
from .latents import LatentCache, to_images, to_pixels


class Scene:
    """A part of the picture and its hole, in pixels and in latent cells.

    request  the request, with every setting chosen
    crop     where the part lies in the picture, and its working size in pixels
    shape    (4, h, w) of its latents
    picture  RGB at working size; None where there is none
    hole     L at working size, white = repaint
    level    [1, 1, h, w], 0 = keep; the larger, the earlier a cell may change
    """

    filled: Image.Image | None = None  # the picture with its hole filled, RGB, and its latents [1, 4, h, w]
    x0: Tensor | None = None

    def __init__(
        self,
        encoder: LatentCache,
        request: Request,
        crop: Crop,
        shape: tuple[int, int, int],
        picture: Image.Image | None,
        hole: Image.Image,
        level: Tensor,
    ):
        self.encoder, self.request, self.crop, self.shape = encoder, request, crop, shape
        self.picture, self.hole, self.level = picture, hole, level
        self._colours: preview.Preview | None = None

    def look(self, latents: Tensor) -> Image.Image:
        """Return latents [1, 4, h, w] as a small RGB picture, one pixel a cell, at almost no cost."""
        if self._colours is None:
            prior = self.encoder.prior()
            if self.filled is None or self.x0 is None:
                self._colours = preview.Preview(prior)
            else:
                self._colours = preview.fit(self.x0, to_pixels(self.filled), prior)
        return self._colours(latents)

    def preview(self, latents: Tensor) -> Image.Image:
        """Return latents [1, 4, h, w] as a picture: by the model's VAE for previews, or else as `look` shows them."""
        pixels = self.encoder.model.preview(latents)
        return self.look(latents) if pixels is None else to_images(pixels)[0]

    def latent_hole(self) -> Image.Image:
        """Return the hole on the latent grid: L, one pixel a cell, white = changes first."""
        grid = self.level[0, 0].float().cpu().numpy()
        return Image.fromarray((grid * (255 / max(grid.max(), 1))).astype(np.uint8))
