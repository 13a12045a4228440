"""Run the PatchMatch library in a process of its own: problems on standard input, filled pictures on standard output.

Its native code cannot be interrupted and may crash; in its own process it can be killed without harm.  This file is
run by its path, so that only numpy and the library are imported.

A problem is HEADER (height, width, radius, seed), then uint8 RGB, hole and avoid; the answer is uint8 RGB.
"""

from __future__ import annotations

import struct
import sys

HEADER = struct.Struct("<IIII")


def main() -> None:
    """Answer problems until standard input ends."""
    import numpy as np
    import patchmatch

    patchmatch.set_verbose(False)
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    while len(header := asked.read(HEADER.size)) == HEADER.size:
        height, width, radius, seed = HEADER.unpack(header)
        rgb, hole, avoid = (
            np.frombuffer(asked.read(height * width * channels), np.uint8).reshape(height, width, channels)
            for channels in (3, 1, 1)
        )
        patchmatch.set_random_seed(seed)
        unused = avoid[..., 0] if avoid.any() else None
        filled = patchmatch.inpaint(rgb, hole[..., 0], global_mask=unused, patch_size=radius)
        answers.write(np.ascontiguousarray(filled).tobytes())
        answers.flush()


if __name__ == "__main__":
    main()
