"""Read a VAE that replaces a model's own: a folder, a single file, or the download of a Hub id."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ModelError
from . import conversion, model_spec, weight_files
from .diffusers_folder import Fetch, config, files, network
from .single_file import CONFIGS, filled

PREFIX = "first_stage_model."
PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
CLASSES = ("AutoencoderKL", "AutoencoderTiny")  # diffusers' classes; the second is TAESD, small and approximate
LAST = "encoder.conv_out.weight"  # [8, 512, 3, 3]: this layer decides what the latent's channels mean
XL = 0.13025  # the scaling factor of Stable Diffusion XL's latents; for 1.x and 2.x it is 0.18215
XL_SETTINGS = "sdxl"  # the name of XL's shipped configuration
LIKE = 0.5  # the cosine of two such layers is near 1 if one VAE was trained from the other, else near 0


class FolderVae:
    """A VAE in diffusers' layout: config.json and weights in the folder itself or in its subfolder vae/."""

    def __init__(self, path: Path, name: str = "", fetch: Fetch | None = None):
        self.path, self.name, self.fetch = path, name or path.name, fetch
        self.sub = "vae" if (path / "vae" / "config.json").is_file() else ""
        if not (path / self.sub / "config.json").is_file():
            raise ModelError(f"The folder {self.name} holds no VAE.", "Name one with config.json and *.safetensors.")
        settings = config(path, self.sub, self.name)
        self.kind = settings.get("_class_name", "AutoencoderKL")
        if self.kind not in CLASSES:
            raise ModelError(f"{self.name} is a {self.kind}, not a VAE of Stable Diffusion.", "Choose another.")
        self.xl = settings.get("scaling_factor") == XL

    def suit(self, settings: str) -> None:
        """Do nothing: the folder has its own configuration."""

    def vae(self, dtype: torch.dtype):
        import diffusers

        return network(getattr(diffusers, self.kind), self.path, self.sub, self.name, self.fetch, torch_dtype=dtype)

    def files(self) -> list[Path]:
        return files(self.path / self.sub)


class FileVae:
    """A VAE in a single file, in ldm or diffusers naming, alone or within a whole checkpoint."""

    def __init__(self, path: Path, folder: Path | None = None, allow_pickle: bool = False):
        self.path, self.name, self.allow_pickle = path, path.name, allow_pickle
        self.folder = folder or CONFIGS / "sd15"
        names = weight_files.shapes(path, allow_pickle)
        self.prefix = PREFIX if any(name.startswith(PREFIX) for name in names) else ""
        if f"{self.prefix}encoder.conv_in.weight" not in names:
            raise ModelError(f"{path.name} holds no VAE of Stable Diffusion.", "Choose another file.")
        self.xl = model_spec.is_xl(names, weight_files.metadata(path))
        self.assumed = folder is None

    def suit(self, settings: str) -> None:
        """Use the shipped configuration of this name, unless a folder with another one was given."""
        if self.assumed:
            self.folder = CONFIGS / settings

    def vae(self, dtype: torch.dtype):
        from diffusers import AutoencoderKL

        settings = config(self.folder, "vae")
        with weight_files.readable(self.path.name):
            found = {
                name.removeprefix(self.prefix): value
                for name, value in weight_files.tensors(self.path, self.allow_pickle).items()
                if name.startswith(self.prefix)
            }
            weights = {name: value for name, value in found.items() if name.startswith(PARTS)}
            if not any(name.startswith("encoder.down_blocks.") for name in weights):
                weights = conversion.vae_weights(weights, settings)
            return filled(self.path.name, AutoencoderKL, settings, weights, dtype)

    def files(self) -> list[Path]:
        return [self.path]


def foreign(name: str, wanted: str) -> ModelError:
    """Return the error for a VAE of another kind; the files of XL's look like those of 1.x, but for the numbers."""
    if wanted == XL_SETTINGS:
        return ModelError(
            f"{name} is no VAE of Stable Diffusion XL: its latents mean other colours.", "Choose one that is."
        )
    return ModelError(
        f"{name} is the VAE of Stable Diffusion XL: its latents mean other colours.",
        "Choose a VAE of Stable Diffusion 1.x or 2.x.",
    )


def check_latents(
    theirs: Iterable[Path], own: Iterable[Path], name: str, xl: bool = False, wanted: str = "sd15"
) -> None:
    """Raise ModelError if a VAE's latent space differs from the model's own, as Stable Diffusion XL's does.

    All VAEs of Stable Diffusion 1.x and 2.x descend from one another, mostly with only the decoder trained further;
    XL's has the same layers, but was trained from scratch.  If the model's own cannot be compared, the name decides.

    xl      whether the file or its configuration says that it is XL's
    wanted  the shipped configuration of the model's own: sd15 or sdxl
    """
    named_xl = xl or bool(re.search(r"sdxl|xl[-_ ]?vae", name.lower()))
    other, mine = _last_layer(theirs), _last_layer(own)
    if other is not None and mine is not None and other.shape == mine.shape == (8, 512, 3, 3):
        alike = bool(torch.cosine_similarity(other.flatten(), mine.flatten(), dim=0) > LIKE)
    else:
        alike = wanted == XL_SETTINGS or not named_xl
    other_taesd = wanted == XL_SETTINGS and bool(re.search(r"taesd(?!xl)", name.lower()))
    if not alike or other_taesd or (xl and wanted != XL_SETTINGS):
        raise foreign(name, wanted)


def _last_layer(paths: Iterable[Path]) -> Tensor | None:
    """Return the encoder's last layer, float32, from the first safetensors file that holds it."""
    from safetensors import safe_open

    for path in filter(weight_files.is_safetensors, paths):
        for key in weight_files.header(path):
            if key in (LAST, PREFIX + LAST):
                with weight_files.readable(path.name), safe_open(path, "pt") as file:
                    return file.get_tensor(key).float()
    return None
