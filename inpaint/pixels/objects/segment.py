"""Cut one piece of a photo into thing and ground with GrabCut, and say how good the cut is.

GrabCut (Rother, Kolmogorov and Blake 2004) is OpenCV's; everything here is some hundredths of a megapixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, pi, sqrt

import numpy as np

from ..crop import Box
from .source import Piece

GROUND, THING, PERHAPS_GROUND, PERHAPS_THING = 0, 1, 2, 3  # OpenCV's values
LEAST = 40  # pixels of a piece: less is a speck, not a thing
NECK = 0.035  # of the square root of a thing's area: half the width of a bridge that does not belong to it
HOLE = 0.05  # of a thing's area: a smaller hole in it is filled
RIM = 7  # pixels across which inside and outside are compared
CLEAR, FAINT = 12, 3  # differences in CIE LAB: an edge that is plain to see, and one that is hardly there


@dataclass(slots=True)
class Segment:
    """A thing found in a piece: where it is, and how much speaks for it."""

    inside: np.ndarray  # bool [h, w]
    piece: Piece
    score: float
    votes: int = 1  # how many searches ended here

    @property
    def area(self) -> float:
        """Return its area in the photo's pixels."""
        return float(np.count_nonzero(self.inside)) / self.piece.scale**2

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return the box around it in the photo."""
        xs, ys = (np.flatnonzero(self.inside.any(axis)) for axis in (0, 1))
        (left, top), scale = self.piece.box[:2], self.piece.scale
        return left + xs[0] / scale, top + ys[0] / scale, left + (xs[-1] + 1) / scale, top + (ys[-1] + 1) / scale

    def same_as(self, other: Segment) -> bool:
        """Return whether both are the same thing, by their boxes and areas."""
        a, b = Box(*map(round, self.box)), Box(*map(round, other.box))
        shared = Box(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
        if min(shared.size) <= 0:
            return False
        both = shared.size[0] * shared.size[1]
        union = a.size[0] * a.size[1] + b.size[0] * b.size[1] - both
        return both > 0.85 * union and abs(log(self.area / other.area)) < 0.15


def grabcut(piece: Piece, trimap: np.ndarray, rounds: int) -> np.ndarray:
    """Return bool [h, w]: the thing, by GrabCut from a map of OpenCV's four values."""
    import cv2

    thing = (trimap == THING) | (trimap == PERHAPS_THING)
    if not thing.any() or thing.all():
        return thing
    cv2.setRNGSeed(1)  # else its k-means would differ from call to call
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(piece.lab, trimap, (0, 0, 1, 1), *models, rounds, cv2.GC_INIT_WITH_MASK)  # the box is not used
    return (trimap == THING) | (trimap == PERHAPS_THING)


def connected(thing: np.ndarray, seed: np.ndarray, neck: float = NECK) -> np.ndarray:
    """Return bool [h, w]: the part of `thing` that the seed lies in, without what hangs on it by a thin bridge."""
    whole = _touching(thing, seed)
    radius = round(neck * sqrt(np.count_nonzero(whole)))
    if radius:
        core = _touching(_eroded(whole, radius), seed)
        part = _touching(whole & _dilated(core, radius + 1), seed) if core.any() else core
        whole = part if part.any() else whole
    return filled(whole)


def filled(thing: np.ndarray) -> np.ndarray:
    """Return bool [h, w]: a thing with its small holes filled."""
    import cv2

    count, labels, facts, _ = cv2.connectedComponentsWithStats((~thing).astype(np.uint8), connectivity=4)
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    small = facts[:, cv2.CC_STAT_AREA] < HOLE * np.count_nonzero(thing)
    small[border] = small[0] = False
    return thing | small[labels] if count > 1 else thing


def score_of(piece: Piece, inside: np.ndarray, size: tuple[int, int]) -> float:
    """Return how well a thing stands out: its contrast all around, less where it is cut off, more if it is compact.

    It is -inf where nothing of the edge can be seen.  The weights were chosen by trying them on ten photos, those of
    tests/pixels/objects among them.
    """
    area = int(np.count_nonzero(inside))
    rim = inside & ~_eroded(inside, 1)
    around = int(np.count_nonzero(rim))
    contrast = _contrast(piece, inside)[rim]
    if float(contrast.mean()) < FAINT:
        return -inf
    frame = np.count_nonzero(np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]]))
    return (
        float(contrast.mean()) * float((contrast > CLEAR).mean()) ** 2
        - 40 * frame / around
        + 6 * min(1.0, 4 * pi * area / around**2)
        + 4 * log(area / piece.scale**2 / (size[0] * size[1]))
    )


def _contrast(piece: Piece, inside: np.ndarray) -> np.ndarray:
    """Return float32 [h, w]: the difference in LAB between what is inside and outside near each pixel."""
    import cv2

    def mean(part: np.ndarray) -> np.ndarray:
        share = cv2.blur(part, (RIM, RIM), borderType=cv2.BORDER_REPLICATE)
        total = cv2.blur(lab * part[..., None], (RIM, RIM), borderType=cv2.BORDER_REPLICATE)
        return total / np.maximum(share, 0.02)[..., None]

    lab, thing = piece.lab.astype(np.float32), inside.astype(np.float32)
    weights = np.array([0.39, 1, 1], np.float32)  # OpenCV stretches L to 0 … 255
    return np.linalg.norm((mean(thing) - mean(1 - thing)) * weights, axis=-1)


def _touching(thing: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Return bool [h, w]: the connected parts of `thing` that share a pixel with the seed."""
    import cv2

    _, labels = cv2.connectedComponents(thing.astype(np.uint8), connectivity=4)
    wanted = np.unique(labels[seed])
    return np.isin(labels, wanted[wanted > 0])


def _eroded(thing: np.ndarray, radius: int) -> np.ndarray:
    import cv2

    return cv2.erode(thing.astype(np.uint8), disc(radius), borderValue=1) > 0


def _dilated(thing: np.ndarray, radius: int) -> np.ndarray:
    import cv2

    return cv2.dilate(thing.astype(np.uint8), disc(radius)) > 0


def disc(radius: int) -> np.ndarray:
    """Return uint8 [2 r + 1, 2 r + 1]: a disc."""
    import cv2

    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
