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
    """Return what the editor shows of each example: name, label in both languages and a small picture."""
    return [
        {
            "name": one["name"],
            "label": {"en": one["label"], "zh": one["label_zh"]},
            "thumb": images.encoded(images.small(thumbnail(FOLDER / f"{one['name']}.jpg"), 240), 80),
        }
        for one in listed()
    ]


def thumbnail(path: Path) -> Image.Image:
    """Return a small RGB picture of a JPEG file, decoded at a fraction of the cost."""
    with Image.open(path) as image:
        image.draft("RGB", (320, 320))
        return image.convert("RGB")


def read(name: str) -> tuple[Picture, Image.Image, str]:
    """Return an example's picture, its mask and a prompt; raise UnreadablePicture for an unknown name."""
    for one in listed():
        if one["name"] == name:
            return (Picture.open(FOLDER / f"{name}.jpg"), open_mask(FOLDER / f"{name}-mask.png"), one["prompt"])
    raise UnreadablePicture("There is no such example.", "Choose one of those shown.")
