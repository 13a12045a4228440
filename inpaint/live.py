"""A step that can show itself: pred_x0 in its place in the whole picture."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from .closeup import CloseUp
from .sampling import Step


class View:
    """Pastes a cheap look at a latent into a small copy of the picture, through the mask.

    picture    RGB, the whole picture as it is so far
    composite  L, what will be pasted; None shows the patch alone
    """

    def __init__(self, closeup: CloseUp, picture: Image.Image, composite: Image.Image | None):
        self.closeup, self.picture, self.composite = closeup, picture, composite
        self.small: dict[int, tuple[Image.Image, Image.Image]] = {}

    def __call__(self, pred_x0: Tensor, side: int) -> Image.Image:
        """RGB, at most `side` pixels long; pred_x0 [1, 4, h, w]."""
        picture, alpha = self._copies(side)
        scale = picture.width / self.picture.width
        left, top, right, bottom = self.closeup.crop.box
        box = (round(left * scale), round(top * scale),
               max(round(right * scale), round(left * scale) + 1),
               max(round(bottom * scale), round(top * scale) + 1))
        patch = self.closeup.look(pred_x0).resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BICUBIC)
        shown = picture.copy()
        shown.paste(patch, box[:2], alpha.crop(box))
        return shown

    def _copies(self, side: int) -> tuple[Image.Image, Image.Image]:
        """The picture and the mask at display size, made once."""
        if side not in self.small:
            scale = min(1.0, side / max(self.picture.size))
            size = tuple(max(1, round(n * scale)) for n in self.picture.size)
            picture = self.picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
            alpha = self.composite or Image.new("L", self.picture.size, 255)
            self.small[side] = picture, alpha.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        return self.small[side]


@dataclass(frozen=True, slots=True)
class LiveStep(Step):
    """A step of a whole job: `index` and `total` count all its walks; image `image_index` has seed `seed`."""

    image_index: int
    seed: int
    seconds: float  # since the job began
    view: View

    def preview(self, side: int = 512) -> Image.Image:
        """The picture as it stands, RGB, at most `side` pixels long."""
        return self.view(self.pred_x0[:1], side)
