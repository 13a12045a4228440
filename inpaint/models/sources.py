"""Find the source of a model's parts: a folder, a single file or a download from the Hub."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, Unpack, overload

import torch

from ..errors import ModelError, ModelUnavailable
from . import hub, transformer_file, weight_files
from .diffusers_folder import Folder
from .families import FOLDERS, Encoder, Family
from .registry import FAMILIES, Card
from .single_file import SingleFile
from .transformer_file import TransformerFile
from .vae_files import FileVae, FolderVae

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")


class VaeSource(Protocol):
    """A VAE on disk, read when it is needed."""

    name: str
    xl: bool

    def suit(self, settings: str) -> None: ...
    def vae(self, dtype: torch.dtype) -> AutoencoderKL: ...
    def files(self) -> list[Path]: ...


class ModelSource(Protocol):
    """A model on disk; each of its parts is read when it is needed."""

    name: str
    family: Family
    notes: list[str]
    titles: tuple[str, ...]  # by which its maker calls it, if stated

    def vae(self, dtype: torch.dtype) -> AutoencoderKL: ...
    def files(self) -> list[Path]: ...

    @property
    def methods(self) -> tuple[str, ...]: ...
    def unet_config(self) -> dict[str, Any]: ...
    def schedule(self) -> dict[str, Any]: ...
    def predicts(self) -> str: ...
    def side(self) -> int: ...
    def unet(self, method: str, dtype: torch.dtype) -> UNet2DConditionModel: ...
    def index(self) -> dict[str, Any]: ...
    def text_encoder(self, dtype: torch.dtype) -> CLIPTextModel: ...
    def encoder(self, spec: Encoder, dtype: torch.dtype) -> Any: ...
    def tokenizer(self, sub: str = "tokenizer", kind: str = "CLIPTokenizer") -> Any: ...
    def unet_files(self, method: str) -> list[Path]: ...
    def sizes(self) -> dict[str, int]: ...
    def parameters(self) -> int: ...


class Options(TypedDict, total=False):
    """The options of `source`, handed on by the other functions here; `load` describes them."""

    config: str | None
    offline: bool | None
    allow_pickle: bool
    progress: hub.OnProgress | None


@overload
def source(names: tuple[str, ...], *, only: Literal["vae"], **options: Unpack[Options]) -> VaeSource: ...


@overload
def source(names: tuple[str, ...], *, only: Literal["", "unet"] = "", **options: Unpack[Options]) -> ModelSource: ...


def source(
    names: tuple[str, ...],
    *,
    only: Literal["", "unet", "vae"] = "",
    config: str | None = None,
    offline: bool | None = None,
    allow_pickle: bool = False,
    progress: hub.OnProgress | None = None,
) -> ModelSource | VaeSource:
    """Return the ModelSource of the first of these names that is available, downloaded if needed.

    only  "unet" downloads nothing else;  "vae" returns a VaeSource
    """
    name = names[0]
    of_folder, of_file = (FolderVae, FileVae) if only == "vae" else (Folder, _single_file)
    try:
        path = Path(name).expanduser()
        if path.is_dir():
            return of_folder(path)
        if path.is_file():
            return of_file(path, _config(path, config), allow_pickle)
    except (OSError, RuntimeError) as error:  # RuntimeError: ~name of an unknown user
        raise ModelError(f"The model {name[:60]!r} cannot be read.", "Check the path.") from error
    if hub.is_id(name) and path.suffix.lower() not in SUFFIXES:
        parts = {"": hub.PARTS, "unet": hub.DENOISERS, "vae": ("vae",)}[only]
        fetch = partial(hub.fetch, name, parts, offline, progress)
        try:
            return of_folder(fetch(), name, fetch)
        except ModelUnavailable:
            if len(names) == 1:
                raise
            return source(names[1:], only=only, offline=offline, progress=progress)
    raise ModelError(
        f"There is no model {name[:60]!r} here.",
        f"Name one of {', '.join(FAMILIES)}, a folder, a .safetensors file or a Hub id.",
    )


def vae(name: str, **options: Unpack[Options]) -> VaeSource:
    """Return the VAE of this name; for a family, that of its base model."""
    card = FAMILIES.get(str(name))
    return source(card.base if card and card.base else (str(name),), only="vae", **options)


def inpaint_source(asked: str | None, card: Card, **options: Unpack[Options]) -> ModelSource | None:
    """Return the model whose 9-channel UNet is used: the one asked for, or the family's."""
    names = card.inpaint
    if asked:
        other = FAMILIES.get(str(asked))
        names = (other.inpaint or other.base) if other else (str(asked),)
    found = source(names, only="unet", **options) if names else None
    if found is not None and "inpaint" not in found.methods:
        raise ModelError(f"The model {found.name} has no inpainting UNet.", "Name one whose UNet takes 9 channels.")
    return found


def _single_file(path: Path, folder: Path | None, allow_pickle: bool) -> SingleFile | TransformerFile:
    """Return the model in one file; the names of its tensors tell its kind."""
    if path.suffix.lower() == ".gguf":
        advice = "Choose a .safetensors file, such as one of fp8."
        raise ModelError(f"{path.name} is a GGUF file, which is not read here.", advice)
    if transformer_file.found_in(weight_files.shapes(path, allow_pickle)):
        return TransformerFile(path, folder, allow_pickle)
    return SingleFile(path, folder, allow_pickle)


def _config(path: Path, asked: str | None) -> Path | None:
    """Return the configurations for a single file: those named, or a folder with the file's name beside it."""
    folder = Path(asked).expanduser() if asked else path.with_suffix("")
    if any((folder / sub / "config.json").is_file() for sub in FOLDERS):
        return folder
    if asked:
        raise ModelError(
            f"There are no model configurations in {folder.name}.",
            "Name a folder in diffusers' layout, with unet/config.json or transformer/config.json.",
        )
    return None
