"""Read the example pictures and their masks from assets/examples/."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from inpaint import Picture, UnreadablePicture
from inpaint.files.mask_file import open_mask
from inpaint.paths import ASSETS

from .. import images

FOLDER = ASSETS / "examples"


@cache
def listed() -> list[dict[str, str]]:
    """Return [{name, label, label_zh, prompt}] from examples.json."""
    return json.loads((FOLDER / "examples.json").read_text(encoding="utf-8"))


@cache
def thumbnails() -> list[dict[str, Any]]:
    """Return each example's name, its label in both languages and a small picture, for the editor."""
    return [
        {
            "name": example["name"],
            "label": {"en": example["label"], "zh": example["label_zh"]},
            "thumb": images.encoded(images.small(thumbnail(FOLDER / f"{example['name']}.jpg"), 240), 80),
        }
        for example in listed()
    ]


def thumbnail(path: Path) -> Image.Image:
    """Return a small RGB picture of a JPEG file, decoded quickly at a reduced size."""
    with Image.open(path) as image:
        image.draft("RGB", (320, 320))
        return image.convert("RGB")


def read(name: str) -> tuple[Picture, Image.Image, str]:
    """Return an example's picture, its mask and a prompt; raise UnreadablePicture for an unknown name."""
    for example in listed():
        if example["name"] == name:
            return (Picture.open(FOLDER / f"{name}.jpg"), open_mask(FOLDER / f"{name}-mask.png"), example["prompt"])
    raise UnreadablePicture("There is no such example.", "Choose one of those shown.")
