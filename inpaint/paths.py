"""Say where the files that ship with the library lie."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent
ASSETS = next(  # inside an installed copy, beside the folder in the repository
    folder for folder in (_HERE / "assets", _HERE.parent / "assets") if (folder / "model").is_dir()
)
MODEL = ASSETS / "model"  # the built-in model
CONFIGS = ASSETS / "configs"  # of the model families that come as a single file
CLIP = CONFIGS / "clip"  # CLIP's tokenizer
