"""Choose close-ups: which rectangle of the picture the model sees, and at which size."""

from __future__ import annotations

from math import ceil, gcd, sqrt
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from .morphology import resize_max

if TYPE_CHECKING:
    from .mask import SparseMask

STEP = 8  # pixels a latent cell: working sides are multiples of it, or of more where a model wants it
SLIMMEST = 4  # the largest ratio of a working size's sides
GROWTH = 0.35  # of its area, by which a box may grow so that nothing is stretched


class Box(NamedTuple):
    """A rectangle of pixels, in the order of Pillow's `image.crop(box)`."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height."""
        return self.right - self.left, self.bottom - self.top

    def grown(self, x: int, y: int | None = None) -> Box:
        """Return the box enlarged by x on the left and the right, and by y (or x) above and below."""
        y = x if y is None else y
        return Box(self.left - x, self.top - y, self.right + x, self.bottom + y)

    def at_least(self, width: int, height: int | None = None) -> Box:
        """Return a box with the same middle and no side shorter than these."""
        (w, h), height = self.size, width if height is None else height
        dx, dy = max(0, width - w), max(0, height - h)
        return Box(self.left - dx // 2, self.top - dy // 2, self.right + dx - dx // 2, self.bottom + dy - dy // 2)

    def inside(self, size: tuple[int, int]) -> Box:
        """Return the box moved inside a picture of that size; shrunk only if it is larger."""
        (w, h), (W, H) = self.size, size
        w, h = min(w, W), min(h, H)
        left, top = min(max(self.left, 0), W - w), min(max(self.top, 0), H - h)
        return Box(left, top, left + w, top + h)

    def inside_of(self, size: tuple[int, int]) -> Box:
        """Return the part of the box that lies inside a picture of that size."""
        return self.common(Box(0, 0, *size))

    def common(self, other: Box) -> Box:
        """Return the part that both boxes share."""
        return Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def moved(self, x: int, y: int) -> Box:
        """Return the box moved to the right by x and down by y."""
        return Box(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def joined(self, other: Box) -> Box:
        """Return the smallest box that contains both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def gap(self, other: Box) -> int:
        """Return the pixels between two boxes, across or down, whichever is more; 0 if they touch or overlap."""
        return max(
            other.left - self.right, self.left - other.right, other.top - self.bottom, self.top - other.bottom, 0
        )


def merged(boxes: list[Box], gap: int) -> list[Box]:
    """Return the boxes, with those merged that touch or are nearer than `gap`."""
    boxes, apart = list(boxes), list[Box]()
    while boxes:
        box = boxes.pop()
        near = [other for other in apart if box.gap(other) < max(1, gap)]
        if near:  # the joined box may touch further ones, so it is compared again
            apart = [other for other in apart if other not in near]
            for other in near:
                box = box.joined(other)
            boxes.append(box)
        else:
            apart.append(box)
    return apart


class Crop(NamedTuple):
    """A close-up: the `box` of the picture, scaled to `size` for the model."""

    box: Box  # in pixels of the picture, inside it
    size: tuple[int, int]  # width and height, multiples of 8 or more, about side × side in area

    @classmethod
    def around(
        cls,
        box: Box,
        picture_size: tuple[int, int],
        side: int,
        context: int = 32,
        factor: float = 1.5,
        step: int = STEP,
    ) -> Crop:
        """Return a close-up of `box` with `context` pixels or more around it, at least `factor` times its size."""
        w, h = box.size
        x, y = (max(context, ceil(n * (factor - 1) / 2)) for n in (w, h))
        wide = Box(*box).grown(x, y).at_least(side // 2).inside(picture_size)  # so it is enlarged at most twofold
        return cls._fitted(wide, picture_size, side, step)

    @classmethod
    def whole(cls, picture_size: tuple[int, int], side: int, step: int = STEP) -> Crop:
        """Return the whole picture as a close-up."""
        return cls._fitted(Box(0, 0, *picture_size), picture_size, side, step)

    @classmethod
    def _fitted(cls, box: Box, picture_size: tuple[int, int], side: int, step: int) -> Crop:
        """Return a close-up of `box`, grown where there is room so that both sides are scaled exactly alike."""
        (w, h), (W, H) = box.size, picture_size
        w, h = min(W, max(w, ceil(h / SLIMMEST))), min(H, max(h, ceil(w / SLIMMEST)))
        best, chosen = (float("inf"), 0.0), None
        for size in _sizes(w / h, side, step):
            for grown in _similar(size, (w, h)):
                if grown[0] > W or grown[1] > H:
                    continue
                growth = grown[0] * grown[1] / (w * h) - 1
                cost = growth + abs(size[0] * size[1] / side**2 - 1) / 2
                cost += 0.1 * (grown != size) + 0.02 * any(n % 64 for n in size)  # the UNet halves 8 times less often
                if growth <= GROWTH and (cost, growth) < best:
                    best, chosen = (cost, growth), (grown, size)
        if chosen is None:  # no room to grow: stretched by less than 1 %, unless the shape is extreme
            chosen = (w, h), min(_sizes(w / h, side, step), key=lambda s: stretch(s, (w, h)))
        (w, h), size = chosen
        return cls(box.at_least(w, h).inside(picture_size), size)

    def cut(
        self, image: Image.Image | SparseMask, resample: Image.Resampling = Image.Resampling.LANCZOS
    ) -> Image.Image:
        """Return the close-up at working size; a mask (L) keeps the highest level each pixel covers."""
        if self.box.size == self.size:
            return image.crop(self.box)
        if not isinstance(image, Image.Image) or image.mode == "L":
            return resize_max(image.crop(self.box), self.size)
        return image.resize(self.size, resample, box=self.box)

    def resize_back(self, patch: Image.Image, resample: Image.Resampling = Image.Resampling.LANCZOS) -> Image.Image:
        """Resize a patch of working size to the size of the box."""
        return patch if patch.size == self.box.size else patch.resize(self.box.size, resample)


def _sizes(aspect: float, side: int, step: int) -> list[tuple[int, int]]:
    """Return working sizes of about this aspect: multiples of `step`, 0.8 to 1.1 of side² in area."""
    aspect = min(max(aspect, 1 / SLIMMEST), SLIMMEST)
    middle, reach = side * sqrt(aspect), max(2 * step, side * sqrt(aspect) / 8)
    widths = range(max(step, int((middle - reach) // step) * step), int(middle + reach) + step, step)
    sizes = []
    for w in widths:
        ideal = w / aspect / step
        for h in {max(step, int(ideal) * step), max(step, ceil(ideal) * step)}:
            if 0.8 <= w * h / side**2 <= 1.1:
                sizes.append((w, h))
    square = max(step, round(side / step) * step)
    return sizes or [(square, square)]


def _similar(size: tuple[int, int], least: tuple[int, int]) -> list[tuple[int, int]]:
    """Return box sizes with the exact aspect of `size`, at least `least`: the smallest one, and `size` if it fits."""
    k = gcd(*size)
    p, q = size[0] // k, size[1] // k
    n = max(ceil(least[0] / p), ceil(least[1] / q))
    return [(n * p, n * q), size] if k >= n else [(n * p, n * q)]


def stretch(size: tuple[int, int], box: tuple[int, int]) -> float:
    """Return how much more one side is scaled than the other between two sizes: 1 means equally."""
    ratio = size[0] * box[1] / (size[1] * box[0])
    return max(ratio, 1 / ratio)
