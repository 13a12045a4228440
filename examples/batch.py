"""Repaint every picture of a folder; a picture that cannot be done stops nothing.

python examples/batch.py [FOLDER OUT_FOLDER]      masks lie beside their pictures, as a_mask.png or a-mask.png
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
