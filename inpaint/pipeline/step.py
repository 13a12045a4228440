"""Hold a step of a run, and preview it: its pred_x0 pasted into the whole picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image
from torch import Tensor

from ..diffusion.protocols import LatentStep
from ..pixels.crop import Box
from ..pixels.mask import SparseMask
from .preview import small
from .scene import Scene


class PreviewRenderer:
    """Paste a cheap preview of a latent into a small copy of the picture, through the mask.

    picture    RGB, the whole picture as it is so far, or a smaller copy of it
    composite  what will be pasted; None shows the patch alone
    size       of the whole picture, if it is not the copy's
    """

    def __init__(
        self,
        scene: Scene,
        picture: Image.Image,
        composite: SparseMask | None = None,
        size: tuple[int, int] | None = None,
    ):
        self.scene, self.picture, self.composite = scene, picture, composite
        self.whole = size or picture.size
        self.sizes: dict[int, Size] = {}

    def __call__(self, pred_x0: Tensor, side: int) -> Image.Image:
        """Render pred_x0 [1, 4, h, w]: RGB, at most `side` pixels long."""
        if side not in self.sizes:
            self.sizes[side] = self._size(side)
        size = self.sizes[side]
        shown = size.picture.copy()
        if size.box is not None:
            seen = self.scene.preview(pred_x0)
            scale = seen.width / self.scene.shape[2]  # pixels a cell
            left, top, right, bottom = (n * scale for n in size.cells)
            patch = seen.resize(size.box.size, Image.Resampling.BICUBIC, box=(left, top, right, bottom))
            shown.paste(patch, size.box[:2], size.alpha)
        return shown

    def _size(self, side: int) -> Size:
        picture = small(self.picture, side)
        scale = max(picture.size) / max(self.whole)
        whole = self.scene.crop.box
        left, top, right, bottom = (round(n * scale) for n in whole)
        box = Box(left, top, max(right, left + 1), max(bottom, top + 1))
        (_, h, w), (width, height) = self.scene.shape, box.size
        part, alpha = Box(0, 0, width, height), None
        if self.composite is not None:
            alpha = self.composite.crop(whole).resize(box.size, Image.Resampling.BILINEAR)
            painted = alpha.getbbox()
            if painted is None:
                return Size(picture, None, (0, 0, 0, 0), None)
            part = Box(*painted)
            alpha = alpha.crop(part)
        cells = part.left * w / width, part.top * h / height, part.right * w / width, part.bottom * h / height
        box = Box(box.left + part.left, box.top + part.top, box.left + part.right, box.top + part.bottom)
        return Size(picture, box, cells, alpha)


class Size(NamedTuple):
    """What all previews of one size share; it is computed once."""

    picture: Image.Image
    box: Box | None  # of the picture, where the patch is pasted; None if nothing is
    cells: tuple[float, float, float, float]  # the same box in latent cells of the scene
    alpha: Image.Image | None  # how opaquely the patch is pasted


@dataclass(frozen=True, slots=True, eq=False)
class Step(LatentStep):
    """A step of a whole run; `index` and `total` count the steps of all its close-ups and batches.

    It shows image `image_index`, made with `seed`.  Keep it to continue from it later with `Inpainter.resume`.
    """

    image_index: int
    seed: int
    seconds: float  # since the run began
    noise: tuple[Tensor, ...]  # the states of the images' noise generators after this step
    render: PreviewRenderer

    @property
    def scene(self) -> Scene:
        """Return the part of the picture that is being painted."""
        return self.render.scene

    def preview(self, side: int = 512) -> Image.Image:
        """Return the picture after this step, RGB, at most `side` pixels long."""
        return self.render(self.pred_x0[:1], side)
