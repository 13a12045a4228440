"""Locate the files that ship with the library."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent
ASSETS = next(  # inside an installed copy, beside the folder in the repository
    folder for folder in (_HERE / "assets", _HERE.parent / "assets") if (folder / "model").is_dir()
)
MODEL = ASSETS / "model"  # the built-in model
CONFIGS = ASSETS / "configs"  # of the model families that come as a single file
CLIP = CONFIGS / "clip"  # CLIP's tokenizer


def without_folders(model: str) -> str:
    """Return a model's name; for a file or folder on this machine only its last part, since the path is private."""
    try:
        path = Path(model).expanduser()
        return path.name if path.is_absolute() or path.exists() else model
    except (OSError, ValueError, RuntimeError):  # a name that no file can have
        return model
