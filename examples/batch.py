"""Repaint every picture in a folder; if one fails, the others are still done.

python examples/batch.py [FOLDER OUT_FOLDER]      the masks are in the same folder, as a_mask.png or a-mask.png
"""

import sys
from pathlib import Path

import inpaint
from inpaint import batch

folder, out = map(Path, sys.argv[1:] or ["assets/examples", "results"])

out.mkdir(exist_ok=True)
painter = inpaint.load("builtin")
for outcome in batch.run(painter, batch.plan(folder), batch.Output(out), {"prompt": "", "seed": 7}):
    print(outcome)
