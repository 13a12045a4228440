"""Read a model in diffusers' layout: a folder with unet/ or transformer/, vae/, text_encoder/, scheduler/ …"""

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
from . import families, hub
from .families import Encoder, Family
from .weight_files import complete, count, header, readable

Fetch = Callable[[], Path]
SHARD = re.compile(r"-\d{5}-of-\d{5}\b")
NO_VAE = 'Name one with vae=, such as vae="sd15" (on the command line --vae sd15).'


class Folder:
    """The parts of a model in a folder; each is read when it is needed.

    name   the model's name; the folder's, if it is empty
    fetch  downloads damaged files again and returns the folder
    """

    family: Family
    titles: tuple[str, ...] = ()

    def __init__(self, path: Path, name: str = "", fetch: Fetch | None = None):
        self.path, self.name, self.fetch = path, name or path.name, fetch
        self.where: dict[str, str] = {}  # {method: the folder of its UNet}
        self.notes: list[str] = []
        for sub in families.FOLDERS:
            if (path / sub / "config.json").is_file():
                found = config(path, sub, self.name)
                self.family = family_of(found, self.name)
                self.where[self.family.method(found, self.name)] = sub
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
        return self.family.schedule(config(self.path, "scheduler", self.name, "scheduler_config.json"))

    def index(self) -> dict[str, Any]:
        """Return model_index.json, {} where there is none."""
        there = (self.path / "model_index.json").is_file()
        return config(self.path, "", self.name, "model_index.json") if there else {}

    def predicts(self) -> str:
        return prediction.kind_of(self.schedule())

    def side(self) -> int:
        return self.family.side(self.unet_config())

    def unet(self, method: str, dtype: torch.dtype):
        import diffusers

        return self._network(getattr(diffusers, self.family.network), self.where[method], torch_dtype=dtype)

    def vae(self, dtype: torch.dtype):
        import diffusers

        if not (self.path / "vae" / "config.json").is_file():
            raise ModelError(f"The model {self.name} holds no VAE.", NO_VAE)
        found = config(self.path, "vae", self.name)
        dtype = self.family.vae_dtype(found, dtype)
        return self._network(getattr(diffusers, self.family.vae), "vae", torch_dtype=dtype)

    def text_encoder(self, dtype: torch.dtype):
        return self.encoder(self.family.encoders[0], dtype)

    def encoder(self, spec: Encoder, dtype: torch.dtype):
        """Return one text encoder of the family; None if it is optional and not there."""
        import transformers

        if spec.optional and not (self.path / spec.folder / "config.json").is_file():
            return None
        with silent():  # its progress bar would flash up for a fraction of a second
            # the configuration could name an attention kernel on the Hub, which would be downloaded and run
            kind = getattr(transformers, spec.network)
            return self._network(kind, spec.folder, dtype=dtype, attn_implementation="sdpa").requires_grad_(False)

    def tokenizer(self, sub: str = "tokenizer", kind: str = "CLIPTokenizer"):
        from .text_encoder import tokenizer

        return tokenizer(self.path, sub, kind)

    def files(self) -> list[Path]:
        """Return all weight files of the model."""
        return [file for sub in (*self.where.values(), *self._others()) for file in files(self.path / sub)]

    def unet_files(self, method: str) -> list[Path]:
        return files(self.path / self.where[method])

    def parameters(self) -> int:
        """Return the number of parameters in one UNet, the VAE and the text encoders together."""
        return sum(self.sizes().values())

    def sizes(self) -> dict[str, int]:
        """Return the number of parameters in one UNet, in the VAE and in each text encoder, by their folders."""
        subs = (self.where[self.methods[-1]], *self._others())
        return {sub: sum(count(header(file)) for file in files(self.path / sub)) for sub in subs}

    def _others(self) -> tuple[str, ...]:
        """Return the folders of the networks beside the UNet."""
        return ("vae", *(spec.folder for spec in self.family.encoders))

    def _network(self, cls, sub: str, **options):
        config(self.path, sub, self.name)
        return network(cls, self.path, sub, self.name, self.fetch, **options)


def family_of(config: dict[str, Any], name: str) -> Family:
    """Return the family of a denoiser with this configuration; ModelError if there is none."""
    family = families.of_config(config)
    if family is None:
        known = ", ".join(dict.fromkeys(family.title for family in families.EVERY))
        kind = config.get("_class_name", "network")
        raise ModelError(f"{name} is of a kind that is not supported: its {kind} is unknown.", f"Choose: {known}.")
    return family


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
