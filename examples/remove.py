"""Remove what is under a mask: without a prompt, the hole is filled from its surroundings.

python examples/remove.py [PHOTO MASK OUT.png]
"""

import sys

import inpaint

photo, mask, out = sys.argv[1:] or ["assets/examples/wren.jpg", "assets/examples/wren-mask.png", "removed.png"]

painter = inpaint.load("builtin")
result = painter(inpaint.Request("", photo, mask, seed=7))
result.save(out)
print(f"{out}: seed {result.seed}, largest change outside the mask {result.report['max_change_outside']}")
