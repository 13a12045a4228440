"""Read a model from one file in ldm naming, such as a .safetensors checkpoint of Stable Diffusion 1.x or 2.x."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import paths
from ..diffusion import prediction
from ..errors import ModelError
from . import conversion, file_kinds, ldm_config, model_spec, weight_files
from .diffusers_folder import NO_VAE
from .diffusers_folder import config as read_config
from .families import Encoder, Family, of_config
from .families.sdxl import StableDiffusionXL
from .families.stable_diffusion import StableDiffusion
from .prediction_probe import predicts_v
from .weight_files import complete, count, readable, tensors

CONFIGS = paths.CONFIGS
FIRST = "model.diffusion_model.input_blocks.0.0.weight"
CROSS = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
REFINER = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"  # 2048 wide in the base
FAMILIES = {768: "sd15", 1024: "sd2"}  # by the width of the text the UNet attends to
UNET, VAE, TEXT = PARTS = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.")
V2 = 1024
XL_TEXT = "conditioner."


class SingleFile:
    """The parts of a model in one file; each is read when it is needed.

    folder  a folder in diffusers' layout with the configurations and the tokenizer to use; by default those shipped
            for Stable Diffusion 1.x, 2.x or XL, whichever the file's names and shapes fit

    Statements in the file itself come first, then the original program's NAME.yaml beside NAME.safetensors, then the
    folder.
    """

    def __init__(self, path: Path, folder: Path | None = None, allow_pickle: bool = False):
        self.path, self.name, self.allow_pickle = path, path.name, allow_pickle
        found, metadata = weight_files.shapes(path, allow_pickle), weight_files.metadata(path)
        if REFINER in found and found[REFINER][1] == 1280:
            raise ModelError(
                f"{path.name} is the refiner of Stable Diffusion XL, which cannot begin a picture.",
                "Choose the base model, or one of those that were made from it.",
            )
        if FIRST not in found:
            raise ModelError(
                f"{path.name} is not a Stable Diffusion checkpoint in ldm naming.", file_kinds.advice(found)
            )
        self.channels, self.width = found[FIRST][1], found.get(CROSS, [0, 0])[1]
        self.xl = model_spec.is_xl(found, metadata)
        self.family: Family = StableDiffusionXL() if self.xl else StableDiffusion()
        self.methods = (self.family.method({"in_channels": self.channels}, self.name),)
        if folder is None and not self.xl and self.width not in FAMILIES:
            raise ModelError(
                f"{path.name} is not Stable Diffusion 1.x, 2.x or XL.",
                "Choose another model; for a variant, name a folder with its configurations.",
            )
        if folder is not None and type(of_config(read_config(folder, "unet"))) is not type(self.family):
            raise ModelError(
                f"{path.name} is a {self.family.title} model, and the configurations in {folder.name} are not.",
                "Name the folder of a model of its kind, or none.",
            )
        self.assumed = folder is None  # whether the configurations are only assumed, from its family
        self.folder = folder or CONFIGS / ("sdxl" if self.xl else FAMILIES[self.width])
        self.original = ldm_config.beside(path)
        self.notes: list[str] = []
        self.titles = model_spec.titles(metadata)
        self.stated = model_spec.schedule(found, metadata)
        self.noted_side = model_spec.side(metadata)
        prefixes = self.prefixes = (UNET, VAE, XL_TEXT if self.xl else TEXT)
        self.counts = {at: count({k: shape for k, shape in found.items() if k.startswith(at)}) for at in prefixes}
        self.parts = {prefix for prefix in prefixes if any(key.startswith(prefix) for key in found)}

    def unet_config(self) -> dict[str, Any]:
        return {**(self._original("unet") or read_config(self.folder, "unet")), "in_channels": self.channels}

    def schedule(self) -> dict[str, Any]:
        """Return the noise schedule: from the file, from the .yaml beside it, or else from the configurations."""
        config = read_config(self.folder, "scheduler", file="scheduler_config.json")
        if self.assumed and self.width == V2:
            del config["prediction_type"]  # some of its files predict eps, some v
        return {**config, **(ldm_config.schedule(self.original) if self.original else {}), **self.stated}

    def predicts(self) -> str:
        """Return what the UNet predicts: by its schedule, or for Stable Diffusion 2 found out with one pass."""
        config = self.schedule()
        unstated = self.width == V2 and "prediction_type" not in config
        return self._probed if unstated else prediction.kind_of(config)

    def side(self) -> int:
        """Return the training size in pixels: stated by the file, or inferred from what it predicts."""
        if self.assumed and self.noted_side:
            return self.noted_side
        if self.assumed and self.width == V2 and self.predicts() == "v_prediction":
            return 768  # the v-models of Stable Diffusion 2 were trained at 768 pixels
        return self.family.side(self.unet_config())

    @cached_property
    def _probed(self) -> str:
        if not predicts_v(self.unet(self.methods[0], torch.float32)):
            return "epsilon"
        self.notes.append(f"{self.name} does not say what it predicts; a test pass shows that it is v.")
        return "v_prediction"

    def unet(self, method: str, dtype: torch.dtype):
        from diffusers import UNet2DConditionModel

        config = self.unet_config()
        with readable(self.name):
            given = {key: value for key, value in self._tensors().items() if key.startswith(UNET)}
            weights = conversion.unet_weights(given, config)
            complete(self.name, (), conversion.dropped(given, weights))
            return filled(self.name, UNet2DConditionModel, config, weights, dtype)

    def vae(self, dtype: torch.dtype):
        from diffusers import AutoencoderKL

        if VAE not in self.parts:
            raise ModelError(f"{self.name} holds no VAE.", NO_VAE)
        config = self._original("vae") or read_config(self.folder, "vae")
        with readable(self.name):
            return filled(self.name, AutoencoderKL, config, conversion.vae_weights(self._tensors(), config), dtype)

    def text_encoder(self, dtype: torch.dtype):
        return self.encoder(self.family.encoders[0], dtype)

    def encoder(self, spec: Encoder, dtype: torch.dtype):
        """Return one text encoder of the family."""
        import transformers
        from accelerate import init_empty_weights

        if self.prefixes[-1] not in self.parts:
            raise ModelError(
                f"{self.name} holds no text encoder: it is a UNet alone.",
                "Choose a full checkpoint; a 9-channel UNet can also be named as inpaint= beside a whole model.",
            )
        settings = {
            key: value
            for key, value in read_config(self.folder, spec.folder).items()
            if "attn_implementation"
            not in key  # it could name a kernel on the Hub, which would be downloaded and run
        }
        config, weights = transformers.CLIPTextConfig(**settings), self._tensors()
        root = f"{XL_TEXT}embedders.{self.family.encoders.index(spec)}." if self.xl else TEXT
        with readable(self.name):
            with init_empty_weights(include_buffers=False):  # no file holds its position ids
                encoder = getattr(transformers, spec.network)(config)
            return loaded(self.name, encoder, conversion.text_weights(weights, encoder, root), dtype)

    def index(self) -> dict[str, Any]:
        return {}

    def tokenizer(self, sub: str = "tokenizer", kind: str = "CLIPTokenizer"):
        from .text_encoder import tokenizer

        return tokenizer(self.folder, sub)

    def files(self) -> list[Path]:
        return [self.path]

    def unet_files(self, method: str) -> list[Path]:
        return [self.path]

    def parameters(self) -> int:
        return sum(self.counts.values())

    def sizes(self) -> dict[str, int]:
        return self.counts

    def _original(self, part: str) -> dict[str, Any] | None:
        if self.original is None:
            return None
        with readable(self.path.with_suffix("").name + "'s configuration"):
            return conversion.config_of(part, self.original)

    def _tensors(self) -> dict[str, Tensor]:
        """Read the tensors, anew each time: the networks share their memory, and LoRAs change them in place."""
        return dict(tensors(self.path, self.allow_pickle))


def filled(name: str, cls, config: dict[str, Any], weights: dict[str, Tensor], dtype: torch.dtype):
    """Build a diffusers network of this configuration with these weights; every weight must be used."""
    from accelerate import init_empty_weights

    with init_empty_weights():
        network = cls.from_config(config)
    return loaded(name, network, weights, dtype)


def loaded(name: str, network, weights: dict[str, Tensor], dtype: torch.dtype):
    """Return the network with these weights, in `dtype`."""
    own = network.state_dict()
    complete(
        name,
        own.keys() - weights.keys(),
        weights.keys() - own.keys(),
        [key for key in own.keys() & weights.keys() if own[key].shape != weights[key].shape],
    )
    network.load_state_dict({key: value.to(dtype) for key, value in weights.items()}, assign=True)
    return network.eval()
