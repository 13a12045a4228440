"""Which models there are, and how one is loaded: families, folders, single files, Hub ids."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import device as devices
from . import memory as memories
from .errors import InpaintError, ModelError
from .folder import Folder
from .hub import fetch, is_id
from .model import Model
from .singlefile import SingleFile

BUILTIN = Path(__file__).resolve().parent.parent / "assets" / "model"
QUALITY = "best quality, extremely detailed"  # the article's a_prompt
SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class Card:
    """A family: a base model and its inpainting sibling, which lends only its UNet."""

    base: str
    inpaint: str = ""
    quality: str = QUALITY
    about: str = ""


FAMILIES = {
    "builtin": Card(str(BUILTIN), quality="", about="Small, offline, ships with the program."),
    "toy": Card("", quality="", about="No weights: exact on smooth fields, knows no words."),
    "sd15": Card("stable-diffusion-v1-5/stable-diffusion-v1-5", "stable-diffusion-v1-5/stable-diffusion-inpainting",
                 about="Stable Diffusion 1.5 and its inpainting UNet, about 4 GB to download."),
    "sd2": Card("stabilityai/stable-diffusion-2-base", "stabilityai/stable-diffusion-2-inpainting",
                about="Stable Diffusion 2 and its inpainting UNet, about 5 GB to download."),
}


def load(name: str = "builtin", *, device: str = "auto", dtype: str = "auto", memory: str = "auto",
         vae: str | None = None, loras: tuple | list = (), config: str | None = None, inpaint: str | None = None,
         offline: bool | None = None, allow_pickle: bool = False) -> Model:
    """The model of this name, ready to paint; raises ModelError or ModelUnavailable.

    name     a family (builtin, toy, sd15, sd2), a folder in diffusers' layout, a .safetensors file in ldm naming,
             or a Hub id
    device   auto, cpu, cuda, cuda:1, mps;  dtype: auto, float32, bfloat16, float16
    memory   auto, low, resident, offload, sequential
    vae      another VAE: a folder, a file or a Hub id;  loras: paths, "path:0.8" or (path, weight)
    config   for a single file: the folder with its configurations and tokenizer
    inpaint  another model whose 9-channel UNet is to share this one's VAE and text encoder
    """
    if name == "toy":
        from .toy import Model as Toy

        return Toy()
    card = FAMILIES.get(name, Card(str(name), inpaint or ""))
    options = {"offline": offline, "allow_pickle": allow_pickle}
    parts = source(card.base, config=config, **options)
    lender = inpaint or card.inpaint
    extra = source(lender, config=config, only=("unet",), **options) if lender else None
    painter = source(vae, only=("vae",), **options) if vae else None

    place = devices.pick(device)
    size = sum(file.stat().st_size for file in parts.files())
    precision = devices.precision(place.type, dtype, parameters=size // 2, bfloat16=devices.has_bfloat16(place))
    policy = memories.choose(place.type, devices.free_bytes(place), size, Model.side_of(parts), memory)
    return Model(name, parts, place, precision, policy, extra=extra, vae=painter, loras=loras, quality=card.quality)


def source(name: str, *, config: str | None = None, only: tuple[str, ...] | None = None,
           offline: bool | None = None, allow_pickle: bool = False) -> Folder | SingleFile:
    """Where this model's parts come from; what is not on this machine is downloaded."""
    path = Path(name).expanduser()
    try:
        if path.is_dir():
            return Folder(path)
        if path.is_file():
            return SingleFile(path, _config(path, config), allow_pickle)
    except OSError as error:
        raise ModelError(f"The model {str(name)[:60]!r} cannot be read.", "Check the path.") from error
    if is_id(name) and path.suffix not in SUFFIXES:
        return Folder(fetch(name, **({"parts": only} if only else {}), offline=offline))
    raise ModelError(f"There is no model {str(name)[:60]!r} here.",
                     f"Name one of {', '.join(FAMILIES)}, a folder, a .safetensors file or a Hub id.")


def _config(path: Path, asked: str | None) -> Path | None:
    """The configurations for a single file: those named, or a folder of the file's own name beside it."""
    folder = Path(asked).expanduser() if asked else path.with_suffix("")
    if (folder / "unet" / "config.json").is_file():
        return folder
    if asked:
        raise ModelError(f"There are no model configurations in {folder.name}.",
                         "Name a folder in diffusers' layout, with unet/config.json.")
    return None


class Shelf:
    """The one model that is loaded.  `take` swaps it; if the new one cannot be loaded, the old one comes back."""

    def __init__(self, loader: Callable[..., Any] = load):
        self.loader, self.current = loader, None
        self.asked: tuple[str, dict[str, Any]] | None = None

    def take(self, name: str, **options) -> Any:
        """The model of this name: the one on the shelf if it is that, else loaded after the old one has gone."""
        if self.current is not None and self.asked == (name, options):
            return self.current
        before, self.asked, self.current = self.asked, None, None  # the old one goes first: both may not fit
        gc.collect()
        try:
            self.current = self.loader(name, **options)
            self.asked = (name, options)
        except InpaintError:
            if before is not None:
                self.current, self.asked = self.loader(before[0], **before[1]), before
            raise
        return self.current
