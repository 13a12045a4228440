"""Say where the files that ship with the library lie."""

from __future__ import annotations

from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "assets"
MODEL = ASSETS / "model"  # the built-in model
CONFIGS = ASSETS / "configs"  # of the model families that come as a single file
CLIP = CONFIGS / "clip"  # CLIP's tokenizer
