"""Keep the filled ground around a thing that was drawn into a hole by a model that draws grounds less well.

The model's picture is compared with what its autoencoder makes of the filled hole: where both agree, nothing was
drawn, and the fill stays, as sharp as it is.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

BLUR = 1.0  # pixels, before both are compared
FAINT, PLAIN = 30.0, 60.0  # levels: what differs less is ground; what differs more was drawn
CORE = 80.0  # levels: a thing differs as much somewhere


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
