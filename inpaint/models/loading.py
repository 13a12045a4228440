"""Load a model: find its files, choose device and precision, and read the networks."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import torch

from ..diffusion import schedule
from ..diffusion.presets import SCHEDULERS, FewSteps, told
from ..errors import ModelError
from ..files import fingerprint
from ..memory import device as devices
from ..memory import policy as memories
from ..paths import without_folders
from ..unet import backend as backends
from . import hub, lora, lora_merge, sources, textual_inversion, vae_files
from .lora import Lora
from .model import Model, ModelParts
from .registry import BUILTIN, FAMILIES, QUALITY, Card, card_of
from .sources import ModelSource, VaeSource, source
from .textual_inversion import Embedding
from .vae import Autoencoder
from .weight_files import readable

if TYPE_CHECKING:
    from .toy import Model as Toy

__all__ = ["BUILTIN", "FAMILIES", "QUALITY", "Card", "Found", "Model", "find", "load", "source"]


@dataclass(frozen=True)
class Found:
    """A model whose files are all on this machine and fit each other, judging by their headers."""

    name: str
    card: Card
    source: ModelSource
    inpaint_source: ModelSource | None
    vae: VaeSource | None
    previews: VaeSource | None
    loras: tuple[Lora, ...]
    embeddings: tuple[Embedding, ...]


def find(
    name: str,
    *,
    vae: str | None = None,
    loras: tuple | list = (),
    embeddings: tuple | list = (),
    config: str | None = None,
    inpaint: str | None = None,
    previews: str | None = None,
    offline: bool | None = None,
    allow_pickle: bool = False,
    progress: hub.OnProgress | None = None,
) -> Found | None:
    """Return the parts that `load` would read, downloaded if needed; None for the toy.  Raises ModelError.

    Only headers are read into memory, so that the loaded model can stay there until the next one is known to exist.
    `progress` is called for each piece of a download; it may raise to stop it, and the next download continues there.
    """
    if name == "toy":
        _check_toy(vae=vae, loras=loras, embeddings=embeddings, config=config, inpaint=inpaint, previews=previews)
        return None
    name = str(name)
    card = card_of(name)
    options: sources.Options = {
        "config": config,
        "offline": offline,
        "allow_pickle": allow_pickle,
        "progress": progress,
    }
    changes = tuple(lora.read(entry, allow_pickle) for entry in loras)
    words = tuple(word for entry in embeddings for word in textual_inversion.read(entry, allow_pickle))
    base = source(card.base, **options)
    lora_merge.check_kind(changes, base.family.title, base.unet_config(), base.family.networks())
    textual_inversion.check_kind(words, base.family.learns, base.unet_config().get("cross_attention_dim"))
    inpaint_source = sources.inpaint_source(inpaint, card, **options)
    other = sources.vae(vae, **options) if vae else None
    small = sources.vae(previews, **options) if previews else None
    base.parameters(), base.files()  # raise ModelError for missing or incomplete files
    wanted = base.family.vae_settings
    for given in (other, small):
        if given is not None:
            vae_files.check_latents(given.files(), base.files(), given.name, given.xl, wanted)
            given.suit(wanted)
    if inpaint_source is not None:
        _check_schedules(base, inpaint_source)
    return Found(name, card, base, inpaint_source, other, small, changes, words)


def load(
    name: str = "builtin",
    *,
    device: str = "auto",
    dtype: str = "auto",
    memory: str = "auto",
    vae: str | None = None,
    loras: tuple | list = (),
    embeddings: tuple | list = (),
    config: str | None = None,
    inpaint: str | None = None,
    previews: str | None = None,
    offline: bool | None = None,
    allow_pickle: bool = False,
    backend: str = "auto",
    progress: hub.OnProgress | None = None,
) -> Model | Toy:
    """Load the model of this name, ready to use; raise ModelError or ModelUnavailable.

    name     a name of the registry (builtin, toy, sd15, sdxl, sd35, flux …), a folder in diffusers' layout, a
             .safetensors file in ldm naming, or a Hub id
    device   auto, cpu, cuda, cuda:1, mps
    dtype    auto, float32, bfloat16, float16
    memory   auto, low, resident, offload, sequential
    vae      another VAE: a folder, a file or a Hub id
    loras    LoRA files: "path", "path:0.8" or (path, weight)
    embeddings  textual-inversion files, "path" or "name=path"; in a prompt write the name, or embedding:name
    config   for a single file: the folder with its configurations and tokenizer
    inpaint  another model, whose 9-channel UNet is used with this one's VAE and text encoder
    previews another VAE for the previews alone, such as the small TAESD of the model's family
    offline  True: download nothing
    allow_pickle  True: also read .ckpt and other pickles (their weights only)
    backend  torch, openvino, or auto, which takes OpenVINO on a CPU if it is installed and saves time
    progress called with hub.Progress while files are downloaded; see `find`
    """
    found = find(
        name,
        vae=vae,
        loras=loras,
        embeddings=embeddings,
        config=config,
        inpaint=inpaint,
        previews=previews,
        offline=offline,
        allow_pickle=allow_pickle,
        progress=progress,
    )
    if found is None:
        from .toy import Model as Toy

        _check_toy(dtype=dtype)
        return Toy()
    return _build(found, device, dtype, memory, backend)


def _build(found: Found, device: str, dtype: str, memory: str, backend: str) -> Model:
    """Read a model's parts into memory."""
    place = devices.pick(device)
    parameters = found.source.parameters()
    precision = devices.precision(place.type, dtype, parameters=parameters, bfloat16=devices.has_bfloat16(place))
    size, free = parameters * precision.itemsize, devices.free_bytes(place)
    with readable(f"{found.name}'s configuration"):
        largest = max(found.source.sizes().values()) * precision.itemsize
        policy = memories.choose(place.type, free, size, found.source.side(), memory, largest)
    roomy = policy == memories.Policy() and free > backends.ROOM.get(precision, inf) * size
    engine = backends.choose(backend, place.type, parameters, roomy)
    with readable(found.name):
        model = Model(_parts(found, place, precision), place, precision, policy, engine)
    _check(model)
    model.unet(model.methods[-1])  # the one that `auto` takes; if it cannot be read, the error comes now
    return model


def _parts(found: Found, place: torch.device, dtype: torch.dtype) -> ModelParts:
    """Read a model's VAE, text encoder and configurations; its UNets are read when they are first used."""
    base, inpaint_source, vae = found.source, found.inpaint_source, found.vae
    unets = dict.fromkeys(base.methods, base) | ({"inpaint": inpaint_source} if inpaint_source else {})
    files = [
        *base.files(),
        *(inpaint_source.unet_files("inpaint") if inpaint_source else ()),
        *(vae.files() if vae else ()),
    ]
    config, precision = base.schedule(), devices.vae_precision(place.type, dtype)
    return ModelParts(
        name=found.name,
        card=found.card,
        source=base,
        unets=unets,
        schedule={key: config[key] for key in schedule.KEYS if config.get(key) is not None},
        predicts={method: source.predicts() for method, source in unets.items()},
        side=base.side(),
        autoencoder=base.family.autoencoder((vae or base).vae, precision),
        texts=base.family.texts(base, dtype, list(found.loras), found.embeddings),
        loras=found.loras,
        stamp=fingerprint.combined(fingerprint.of_files(files), [word.stamp for word in found.embeddings]),
        few=_few_steps(found),
        previewer=Autoencoder(found.previews.vae, precision) if found.previews else None,
    )


def _few_steps(found: Found) -> FewSteps | None:
    """Return what a model's names, its scheduler and its UNet say about a preset for few steps."""
    source, kind = found.source, SCHEDULERS.get(str(found.source.schedule().get("_class_name")))
    if kind is None and source.unet_config().get("time_cond_proj_dim"):  # trained by latent consistency distillation
        kind = "lcm"
    few = told([found.name, *found.card.base, source.name, *source.titles])
    return few or (FewSteps(without_folders(found.name), kind) if kind else None)


def _check_toy(**given: object) -> None:
    """Raise ModelError for options that make no sense for the toy, which computes in float32 and has no networks."""
    for option, value in given.items():
        if value and value not in ("auto", "float32"):
            raise ModelError(f"The toy model takes no {option}.", "Leave it out, or choose another model.")


def _check_schedules(base: ModelSource, other: ModelSource) -> None:
    """Raise ModelError unless a UNet from another model was trained on the same noise levels."""
    with readable(other.name):
        ours, theirs = (schedule.alphas_cumprod(model.schedule()) for model in (base, other))
        alike = ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-4)
    if not alike:
        raise ModelError(
            f"The UNet of {other.name} was trained on other noise levels than {base.name}.",
            "Combine models with the same schedule.",
        )


def _check(model: Model) -> None:
    """Raise ModelError unless parts from several places fit each other."""
    family = model.family
    for part in model.parts.unets.values():
        config = part.unet_config()
        alike = type(part.family) is type(family) and family.fits(config, model.texts)
        if not alike or family.out(config) != model.channels:
            raise ModelError(
                f"The {family.folders[0]} of {part.name} does not fit the text encoder and VAE of {model.name}.",
                f"Combine models of one family: {family.combine}.",
            )
    small = model.parts.previewer
    if small and (small.channels, small.factor) != (model.channels, model.factor):
        raise ModelError(
            f"The VAE for previews has latents of {small.channels} channels, and {model.name} of {model.channels}.",
            "Choose the one of the model's family.",
        )
    texts = [text for text in model.texts if text.encoder is not None]
    if any(len(text.tokenizer) > text.encoder.config.vocab_size for text in texts):
        raise ModelError(
            f"The tokenizer of {model.name} knows more words than its text encoder.",
            "Name the folder with the model's own tokenizer.",
        )
