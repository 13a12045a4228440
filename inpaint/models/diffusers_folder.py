"""Read a model in diffusers' layout: a folder with unet/, vae/, text_encoder/, tokenizer/ and scheduler/."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..diffusion import prediction
from ..errors import ModelError
from . import hub
from .weight_files import complete, count, header, readable

Fetch = Callable[[], Path]
METHODS = {4: "base", 9: "inpaint"}  # by the channels of the UNet's first convolution
UNETS = ("unet", "unet_inpainting")
SHARD = re.compile(r"-\d{5}-of-\d{5}\b")
NO_VAE = 'Name one with vae=, such as vae="sd15" (on the command line --vae sd15).'


class Folder:
    """The parts of a model in a folder; each is read when it is needed.

    name   the model's name; the folder's, if it is empty
    fetch  downloads damaged files again and returns the folder
    """

    def __init__(self, path: Path, name: str = "", fetch: Fetch | None = None):
        self.path, self.name, self.fetch = path, name or path.name, fetch
        self.where: dict[str, str] = {}  # {method: the folder of its UNet}
        self.notes: list[str] = []
        for sub in UNETS:
            if (path / sub / "config.json").is_file():
                self.where[method_of(config(path, sub, self.name), self.name)] = sub
        if not self.where:
            raise ModelError(
                f"The folder {self.name} holds no model: it has no unet/config.json.",
                "Choose a folder in diffusers' layout.",
            )

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(self.where)

    def unet_config(self) -> dict[str, Any]:
        return config(self.path, next(iter(self.where.values())), self.name)

    def schedule(self) -> dict[str, Any]:
        return config(self.path, "scheduler", self.name, "scheduler_config.json")

    def predicts(self) -> str:
        return prediction.kind_of(self.schedule())

    def side(self) -> int:
        return side_of(self.unet_config())

    def unet(self, method: str, dtype: torch.dtype):
        from diffusers import UNet2DConditionModel

        return self._network(UNet2DConditionModel, self.where[method], torch_dtype=dtype)

    def vae(self, dtype: torch.dtype):
        from diffusers import AutoencoderKL

        if not (self.path / "vae" / "config.json").is_file():
            raise ModelError(f"The model {self.name} holds no VAE.", NO_VAE)
        return self._network(AutoencoderKL, "vae", torch_dtype=dtype)

    def text_encoder(self, dtype: torch.dtype):
        from transformers import CLIPTextModel

        with silent():  # a bar for a fraction of a second; and without a dtype it would take the file's own
            # its configuration could name a program on the Hub to compute attention with: here it is torch's
            return self._network(CLIPTextModel, "text_encoder", dtype=dtype, attn_implementation="sdpa")

    def tokenizer(self):
        from .text_encoder import tokenizer

        return tokenizer(self.path)

    def files(self) -> list[Path]:
        """Return the files with this part's weights."""
        return [file for sub in (*self.where.values(), "vae", "text_encoder") for file in files(self.path / sub)]

    def unet_files(self, method: str) -> list[Path]:
        return files(self.path / self.where[method])

    def parameters(self) -> int:
        """Return the number of parameters in one UNet, the VAE and the text encoder together."""
        subs = (self.where[self.methods[-1]], "vae", "text_encoder")
        return sum(count(header(file)) for sub in subs for file in files(self.path / sub))

    def _network(self, cls, sub: str, **options):
        config(self.path, sub, self.name)
        return network(cls, self.path, sub, self.name, self.fetch, **options)


def method_of(unet: dict[str, Any], name: str) -> str:
    """Return base for 4 channels in, inpaint for 9; ModelError for anything else."""
    if unet.get("addition_embed_type") or unet.get("encoder_hid_dim_type") or unet.get("class_embed_type"):
        raise ModelError(
            f"{name} is a Stable Diffusion XL or another kind of model, not supported yet.",
            "Choose a model of Stable Diffusion 1.x or 2.x.",
        )
    channels = unet.get("in_channels")
    if channels not in METHODS:
        raise ModelError(
            f"The UNet of {name} takes {channels} channels.",
            "Choose a Stable Diffusion model with 4 (base) or 9 (inpainting) channels.",
        )
    return METHODS[channels]


def side_of(unet: dict[str, Any]) -> int:
    """Return the side in pixels of the pictures a UNet was trained on; the longer one of a rectangle."""
    size = unet.get("sample_size") or 64
    return 8 * max(map(int, size if isinstance(size, (list, tuple)) else [size]))


def config(root: Path, sub: str, name: str = "", file: str = "config.json") -> dict[str, Any]:
    """Return one part's configuration; raise ModelError if it cannot be read or asks for quantized weights."""
    name = name or root.name
    problem = f"The model {name} has no readable {f'{sub}/' if sub else ''}{file}."
    try:
        found = json.loads((root / sub / file).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(problem, "Download it again.") from error
    if not isinstance(found, dict):
        raise ModelError(problem, "Download it again.")
    if found.get("quantization_config"):
        raise ModelError(
            f"The model {name} is quantized, which is not supported.", "Choose its variant in plain weights."
        )
    return found


def files(folder: Path) -> list[Path]:
    """Return one part's weight files: a single file rather than shards, half precision only if there is nothing else.

    The index says which shards there are; raises ModelError if it, or one of them, is missing.
    """
    found = [file for file in sorted(folder.glob("*.safetensors")) if "non_ema" not in file.name]
    found = found or sorted(folder.glob("*.safetensors"))
    plain = [file for file in found if "fp16" not in file.name] or found
    whole = [file for file in plain if not SHARD.search(file.name)]
    if whole or not plain:
        return whole
    half = "fp16" in plain[0].name
    index = next((file for file in folder.glob("*.safetensors.index*.json") if ("fp16" in file.name) is half), None)
    if index is None:
        raise ModelError(
            f"The weights in {folder.name}/ are in several files, without the index that says which.",
            f"Download the file ending in .safetensors.index{'.fp16' * half}.json too.",
        )
    return _shards(folder, index)


def _shards(folder: Path, index: Path) -> list[Path]:
    """Return the shards listed in an index; all must exist and lie in its folder."""
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        found = [folder / name for name in names if Path(name).name == name]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"The index {folder.name}/{index.name} cannot be read.", "Download it again.") from error
    missing = [name for name in names if not (folder / name).is_file() or folder / name not in found]
    if missing:
        raise ModelError(
            f"Of {len(names)} files of weights in {folder.name}/ {len(missing)} are missing, such as {missing[0]}.",
            "Download them too.",
        )
    return found


def network(cls, root: Path, sub: str, name: str = "", fetch: Fetch | None = None, **options):
    """Read one network; raise ModelError if a weight is missing, unexpected or misshapen.

    If `fetch` is given, damaged files are downloaded again, once.
    """
    try:
        return _network(cls, root, sub, name or root.name, **options)
    except ModelError:
        damaged = hub.remove_damaged(root) if fetch else []
        if fetch is None or not damaged:
            raise
        try:
            return _network(cls, fetch(), sub, name or root.name, **options)
        except ModelError as error:
            raise hub.removed(damaged[0], name) from error


def _network(cls, root: Path, sub: str, name: str, **options):
    found = files(root / sub)
    if not found:
        raise ModelError(
            f"The model {name} has no {f'{sub}/' if sub else ''}*.safetensors.",
            "Download it again, or convert its weights to safetensors.",
        )
    if all("fp16" in file.name for file in found):
        options["variant"] = "fp16"
    with readable(f"{name}/{sub}"):
        loaded, info = cls.from_pretrained(
            str(root), subfolder=sub, use_safetensors=True, local_files_only=True, output_loading_info=True, **options
        )
    complete(name, info["missing_keys"], info["unexpected_keys"], info["mismatched_keys"])
    return loaded.eval()


@contextmanager
def silent():
    """Hide transformers' progress bars inside the block."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
