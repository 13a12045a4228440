"""Replace what is under a mask: paint two variations, and choose the one with the less visible seam.

python examples/replace.py [PHOTO MASK PROMPT OUT.png]
"""

import sys

import inpaint

photo, mask, prompt, out = sys.argv[1:] or [
    "assets/examples/wren.jpg",
    "assets/examples/wren-mask.png",
    "pizza",
    "replaced.png",
]

painter = inpaint.load("builtin")
results = [painter(inpaint.Request(prompt, photo, mask, seed=seed)) for seed in (7, 8)]
best = min(results, key=lambda result: result.report["seam_score"])
best.save(out)
print(f"{out}: seed {best.seed} of {[result.seed for result in results]}")
