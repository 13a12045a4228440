"""Pack everything that training needs into one file, for a machine without a network.

It is an uncompressed zip archive of the stickers' WebP files and names, the photos at 768 px, the tokenizer and the
autoencoder.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from PIL import Image
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from . import checkpoint, photos, stickers, tokenizer
from .plan import Plan
from .stickers import Library, Sticker

WIDTH = 768  # px of a photo's longer side
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


def write(path: Path, plan: Plan) -> Path:
    """Pack the stickers in `work/npm`, the plan's photos, the tokenizer and the autoencoder."""
    library = stickers.load(plan.work / "npm")
    tokenizer.load(library, plan)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path.with_suffix(".part"), "w", zipfile.ZIP_STORED) as archive:
        table = []
        for number, sticker in enumerate(library):
            archive.writestr(f"stickers/{number:04d}.webp", webp(sticker.picture))
            table.append({"name": sticker.name, "words": sticker.words})
        archive.writestr("stickers.json", json.dumps(table, ensure_ascii=False))
        for file in sorted(plan.photos.glob("*.jpg")):
            archive.writestr(f"photos/{file.name}", jpeg(Image.open(file).convert("RGB")))
        for name in TOKENIZER:
            archive.write(plan.work / "tokenizer" / name, f"tokenizer/{name}")
        final = checkpoint.load(plan.work / "vae" / "final.pt")
        weights = {name: value.half().contiguous() for name, value in final["vae"].items()}
        archive.writestr("vae.safetensors", save_tensors(weights))
        archive.writestr("vae.json", json.dumps({key: final[key] for key in ("step", "seconds", "scale")}))
    path.with_suffix(".part").replace(path)
    return path


def webp(picture: Image.Image) -> bytes:
    """Encode the picture as WebP of high quality."""
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=90, method=4)
    return file.getvalue()


def jpeg(photo: Image.Image) -> bytes:
    """Encode the photo as JPEG, at most 768 px on its longer side."""
    photo.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=90)
    return file.getvalue()


def read(path: Path, plan: Plan) -> tuple[Library, list[Image.Image]]:
    """Return the photos and stickers for scenes, and the held-out photos.

    The tokenizer and the autoencoder are unpacked into the work folder if it has none yet.
    """
    with zipfile.ZipFile(path) as archive:
        table = json.loads(archive.read("stickers.json"))
        every = [
            Sticker(row["name"], tuple(row["words"]), opened(archive, f"stickers/{number:04d}.webp", "RGBA"))
            for number, row in enumerate(table)
        ]
        names = sorted(name for name in archive.namelist() if name.startswith("photos/"))
        pictures = {Path(name).stem: opened(archive, name, "RGB") for name in names}
        if not (plan.work / "tokenizer").exists():
            for name in TOKENIZER:
                archive.extract(f"tokenizer/{name}", plan.work)
        if not (plan.work / "vae" / "final.pt").exists():
            weights = {name: value.float() for name, value in load_tensors(archive.read("vae.safetensors")).items()}
            checkpoint.save(plan.work / "vae" / "final.pt", {**json.loads(archive.read("vae.json")), "vae": weights})
    seen = [picture for name, picture in pictures.items() if name not in photos.HELD_OUT]
    return Library(seen, every), [pictures[name] for name in photos.HELD_OUT if name in pictures]


def opened(archive: zipfile.ZipFile, name: str, mode: str) -> Image.Image:
    return Image.open(io.BytesIO(archive.read(name))).convert(mode)
