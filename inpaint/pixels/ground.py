"""Keep the filled ground around a thing that is drawn into a hole by a model that draws grounds less well.

The thing is drawn where it has most room, so that a long stroke does not get a long thing.  The model's picture is
then compared with what its autoencoder makes of the filled hole: where both agree, nothing was drawn, and the fill
stays, as sharp as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .crop import Box

if TYPE_CHECKING:
    from .mask import SparseMask

BLUR = 1.0  # pixels, before both are compared
FAINT, PLAIN = 30.0, 60.0  # levels: what differs less is ground; what differs more was drawn
CORE = 80.0  # levels: a thing differs as much somewhere
ROOM = 1.3  # times the radius of the largest circle in an island: half the side of the square that a thing gets
ALL = 0.75  # of an island's sides: a square that covers as much is made the whole island
FEWER = 0.5  # of the largest circle: islands with a smaller one stay ground
SIDE = 256  # pixels: the size at which circles are measured
MOST = 8  # places


def places(painted: SparseMask) -> list[Box]:
    """Return the parts of a mask into which a thing is drawn, one for each large island, the largest first.

    Each is a square around the largest circle in the island, or the whole island if it is about as large.
    """
    from scipy import ndimage

    scale = max(1, -(-max(painted.part.size) // SIDE))
    inside = np.asarray(painted.part.point(lambda level: 255 * (level > 0)).reduce(scale)) == 255
    if not inside.any():  # only thin strokes
        return [Box(*painted.box())]
    room = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1] * scale
    islands, count = ndimage.label(inside, np.ones((3, 3)))
    middles = [(int(y), int(x)) for y, x in ndimage.maximum_position(room, islands, range(1, count + 1))]
    radii = [float(room[middle]) for middle in middles]
    found: list[Box] = []
    for radius, (y, x), (down, across) in sorted(
        zip(radii, middles, ndimage.find_objects(islands), strict=True), key=lambda one: -one[0]
    ):
        if radius < FEWER * max(radii) or len(found) == MOST:
            break
        island = Box(across.start * scale, down.start * scale, across.stop * scale, down.stop * scale)
        island = island.grown(scale).inside_of(painted.part.size)  # the rim was cut off
        middle = Box(x * scale, y * scale, x * scale, y * scale)
        square = middle.grown(round(ROOM * radius)).common(island)
        whole = all(part >= ALL * all_ for part, all_ in zip(square.size, island.size, strict=True))
        found.append((island if whole else square).moved(painted.left, painted.top))
    return found


def drawn(painted: Image.Image, ground: Image.Image, hole: Image.Image) -> Image.Image:
    """Return how much of each pixel belongs to what was drawn: L, 0 outside the hole.

    painted  RGB, the model's picture
    ground   RGB of the same size, the filled hole after the autoencoder
    hole     L, white = repainted
    """
    from scipy import ndimage

    difference = np.asarray(painted, np.float32) - np.asarray(ground, np.float32)
    differs = np.abs(ndimage.gaussian_filter(difference, (BLUR, BLUR, 0))).max(-1) * (np.asarray(hole) > 127)
    thing = ndimage.binary_propagation(differs > CORE, mask=differs > FAINT)
    share = np.clip((differs - FAINT) / (PLAIN - FAINT), 0, 1) * ndimage.binary_fill_holes(thing)
    share = np.maximum(share, ndimage.binary_fill_holes((differs > PLAIN) & thing))
    soft = ndimage.gaussian_filter(share.astype(np.float32), 0.8) * (np.asarray(hole) > 0)
    return Image.fromarray(np.clip(np.rint(soft * 255), 0, 255).astype(np.uint8))
