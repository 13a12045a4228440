"""Tell label maps from soft masks: in both every pixel holds a small number, but a label's size means nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

FAINT = 26  # a tenth of white: lower levels would hardly change the picture
DIM = 128  # a mask with a level as high as this is no label map
FLAT = 0.5  # of the faint pixels of a label map equal their right and lower neighbours
JUMPS = 0.5  # of the differing neighbours in a label map differ by more than one level


def is_label_map(levels: np.ndarray) -> bool:
    """Return whether uint8 [H, W] numbers its objects 1, 2, 3, …: flat areas too faint to be meant as levels.

    Noise is faint but not flat, a soft edge is not flat either, and a slow gradient has no steps.
    """
    import numpy as np

    highest = int(levels.max())
    if not 0 < highest < DIM or levels.min() or min(levels.shape) < 2:
        return False
    here = levels[:-1, :-1].astype(np.int16)
    right, below = np.abs(levels[:-1, 1:] - here), np.abs(levels[1:, :-1] - here)
    faint = (here > 0) & (here < FAINT)
    flat = np.count_nonzero(faint & (right == 0) & (below == 0))
    if not flat or flat < FLAT * np.count_nonzero(faint):
        return False
    edges, steps = (sum(np.count_nonzero(step > size) for step in (right, below)) for size in (0, 1))
    return bool(highest < FAINT or steps >= JUMPS * edges)
