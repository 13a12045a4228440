"""Compute a nearest-neighbour field: for every patch that touches a hole, the most similar patch outside it.

At a small size the field is found exactly, by comparing all patches with matrix products.  It is then carried over to
twice the size and improved with the neighbours' finds.  Each pixel of the hole becomes the weighted mean of all
patches that cover it (Wexler, Shechtman & Irani 2007).

All compared numbers are whole and below 2²⁴, so float32 adds them exactly in any order: equal seeds give equal
pictures with any number of threads.
"""

from __future__ import annotations

import numpy as np

from .. import morphology

AT_ONCE = 1 << 15  # patches that are compared at a time; their pixels stay in the processor's cache
BLOCK = 512  # rows of one matrix product
NEIGHBOURS = ((0, 1), (1, 0), (0, -1), (-1, 0))
KNOWN = 4  # the weight of a known pixel in a comparison
FADE = 1.3  # a patch's weight is divided by this for each pixel that it lies deeper in the hole


class Field:
    """The patches of one level: `width` pixels around each centre, sources outside hole and `avoid`.

    hole, avoid  bool [H, W]: what is filled, and what must not be copied from either
    """

    def __init__(self, hole: np.ndarray, avoid: np.ndarray, radius: int = 2):
        from scipy.ndimage import distance_transform_edt

        self.hole, self.radius = hole, radius
        self.height, self.width = hole.shape
        self.usable = usable(hole, avoid, radius)
        targets = _square(hole, radius)
        self.y, self.x = (n.astype(np.int32) for n in np.nonzero(targets))
        self.number = np.full(hole.shape, -1, np.int32)  # of the target at each pixel
        self.number[self.y, self.x] = np.arange(len(self.y), dtype=np.int32)
        depth = distance_transform_edt(hole)[self.y, self.x]
        self.confidence = np.power(FADE, -np.minimum(depth, 30)).astype(np.float32)
        self.offsets = [(dy, dx) for dy in range(-radius, radius + 1) for dx in range(-radius, radius + 1)]
        self.from_y = self.from_x = np.zeros(0, np.int32)  # the centre of each target's source
        self.distance = np.zeros(0, np.float32)  # the sum of squared differences to it

    def search(self, estimate: np.ndarray, source: np.ndarray, trust: int = KNOWN) -> None:
        """Find the most similar of all sources for each target; estimate, source [H, W, 3], 0 … 255.

        trust  the weight of the hole's own pixels, 0 … KNOWN; those around it have the weight KNOWN
        """
        sy, sx = np.nonzero(self.usable)
        sources = self._patches(self._flat(source) - 128, sy, sx)
        squares = sources * sources
        plain = KNOWN * squares.sum(1)
        best, distance = np.empty(len(self.y), np.intp), np.empty(len(self.y), np.float32)
        asked = self._flat(estimate) - 128
        weights = self._flat(np.where(self.hole, trust, KNOWN)[..., None].repeat(3, 2))
        for start in range(0, len(self.y), BLOCK):
            part = slice(start, start + BLOCK)
            targets = self._patches(asked, self.y[part], self.x[part])
            weight, sums = np.full((1, 1), KNOWN, np.float32), plain
            if trust != KNOWN:
                weight = self._patches(weights, self.y[part], self.x[part])
                sums = weight @ squares.T
            found = sums - 2 * ((weight * targets) @ sources.T)
            best[part] = at = found.argmin(1)
            distance[part] = found[np.arange(len(at)), at] + (weight * targets * targets).sum(1)
        self.from_y, self.from_x = sy[best].astype(np.int32), sx[best].astype(np.int32)
        self.distance = distance * np.float32(1 / KNOWN)

    def enlarge(self, half: Field) -> None:
        """Initialise from the field of half the size: the same sources, at twice the distance."""
        from scipy.ndimage import distance_transform_edt

        y, x = np.minimum(self.y // 2, half.height - 1), np.minimum(self.x // 2, half.width - 1)
        numbers = half.number[y, x]
        if (numbers < 0).any():
            near = distance_transform_edt(half.number < 0, return_distances=False, return_indices=True)
            numbers = half.number[near[0][y, x], near[1][y, x]]
        from_y = self.y + 2 * (half.from_y[numbers] - half.y[numbers])
        from_x = self.x + 2 * (half.from_x[numbers] - half.x[numbers])
        from_y, from_x = np.clip(from_y, 0, self.height - 1), np.clip(from_x, 0, self.width - 1)
        if not self.usable[from_y, from_x].all():
            near = distance_transform_edt(~self.usable, return_distances=False, return_indices=True)
            from_y, from_x = near[0][from_y, from_x], near[1][from_y, from_x]
        self.from_y, self.from_x = from_y.astype(np.int32), from_x.astype(np.int32)
        self.distance = np.ones(len(self.y), np.float32)

    def measure(self, estimate: np.ndarray) -> None:
        """Compare every target with its source again, after the estimate has changed."""
        flat = self._flat(estimate)
        for part in self._parts():
            self.distance[part] = self._compared(flat, part, self.from_y[part], self.from_x[part])

    def improve(self, estimate: np.ndarray) -> None:
        """Try the finds of each target's four neighbours, then the four pixels beside its own source."""
        flat = self._flat(estimate)
        for dy, dx in NEIGHBOURS:
            y = np.clip(self.y + dy, 0, self.height - 1)
            x = np.clip(self.x + dx, 0, self.width - 1)
            numbers = self.number[y, x]
            known = numbers >= 0
            from_y = np.where(known, self.from_y[numbers] - dy, self.from_y)
            from_x = np.where(known, self.from_x[numbers] - dx, self.from_x)
            self._consider(flat, from_y, from_x)
        for dy, dx in NEIGHBOURS:
            self._consider(flat, self.from_y + dy, self.from_x + dx)

    def vote(self, source: np.ndarray, sharp: float = 0.0) -> np.ndarray:
        """Return float32 [H, W, C]: the source, its hole filled with the weighted mean of all patches' pixels.

        sharp  how narrowly a pixel is taken from the patches around it, in pixels; 0 takes all alike
        """
        hy, hx = np.nonzero(self.hole)
        flat = source.reshape(-1, source.shape[-1])
        variance = np.float32(np.percentile(self.distance, 75) + 1)
        weights = np.exp(-self.distance / (2 * variance)) * self.confidence + np.float32(1e-20)
        filled = source.astype(np.float32)
        for start in range(0, len(hy), AT_ONCE):
            y, x = hy[start : start + AT_ONCE], hx[start : start + AT_ONCE]
            total = np.zeros((len(y), source.shape[-1]), np.float32)
            weight = np.zeros((len(y), 1), np.float32)
            for dy, dx in self.offsets:
                ty, tx = y - dy, x - dx
                inside = (ty >= 0) & (ty < self.height) & (tx >= 0) & (tx < self.width)
                number = self.number[np.where(inside, ty, 0), np.where(inside, tx, 0)]
                near = np.exp(-(dy * dy + dx * dx) / (2 * sharp * sharp)) if sharp else 1.0
                each = np.where(inside & (number >= 0), weights[number] * np.float32(near), 0)[:, None]
                pixel = (self.from_y[number] + dy) * self.width + self.from_x[number] + dx
                total += each * flat.take(pixel, axis=0, mode="clip")
                weight += each
            filled[y, x] = total / np.maximum(weight, np.float32(1e-30))
        return filled

    def _consider(self, flat: np.ndarray, from_y: np.ndarray, from_x: np.ndarray) -> None:
        """Take the proposed sources where they are usable and more similar."""
        for part in self._parts():
            y = np.clip(from_y[part], 0, self.height - 1)
            x = np.clip(from_x[part], 0, self.width - 1)
            new = self.usable[y, x] & ((y != self.from_y[part]) | (x != self.from_x[part]))
            which = np.nonzero(new)[0]
            if not len(which):
                continue
            y, x, numbers = y[which], x[which], which + part.start
            distance = self._compared(flat, numbers, y, x)
            better = distance < self.distance[numbers]
            numbers = numbers[better]
            self.from_y[numbers], self.from_x[numbers] = y[better], x[better]
            self.distance[numbers] = distance[better]

    def _parts(self) -> list[slice]:
        return [slice(n, min(n + AT_ONCE, len(self.y))) for n in range(0, len(self.y), AT_ONCE)]

    def _compared(self, flat: np.ndarray, which, from_y: np.ndarray, from_x: np.ndarray) -> np.ndarray:
        """Return the sums of squared differences between these targets and sources; flat from `_flat`."""
        r, wide = self.radius, self.width + 2 * self.radius
        there = (self.y[which] + r) * wide + self.x[which] + r
        here = (from_y + r) * wide + from_x + r
        distance = np.zeros(len(there), np.float32)
        for dy, dx in self.offsets:
            step = dy * wide + dx
            difference = flat.take(there + step, axis=0) - flat.take(here + step, axis=0)
            distance += np.einsum("ij,ij->i", difference, difference)
        return distance

    def _flat(self, estimate: np.ndarray) -> np.ndarray:
        """Return the estimate in whole numbers with a mirrored rim, float32 [pixels, 3]."""
        rim = (self.radius, self.radius)
        return np.pad(np.rint(estimate).astype(np.float32), (rim, rim, (0, 0)), mode="symmetric").reshape(-1, 3)

    def _patches(self, flat: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return the patches around these centres, float32 [n, 3 · (2 radius + 1)²]; flat from `_flat`."""
        wide = self.width + 2 * self.radius
        at = (y + self.radius) * wide + x + self.radius
        return np.concatenate([flat.take(at + dy * wide + dx, axis=0) for dy, dx in self.offsets], axis=1)


def usable(hole: np.ndarray, avoid: np.ndarray, radius: int) -> np.ndarray:
    """Return bool [H, W]: the centres of whole patches without a pixel of the hole or of `avoid`."""
    free = ~_square(hole | avoid, radius)
    free[:radius] = free[-radius:] = False
    free[:, :radius] = free[:, -radius:] = False
    return free


def _square(mask: np.ndarray, radius: int) -> np.ndarray:
    """Return the mask grown by a square of this radius."""
    return morphology.dilate_square(mask.view(np.uint8), radius) > 0
