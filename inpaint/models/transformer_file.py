"""Read FLUX.1 or Stable Diffusion 3 from one file in the original naming: the transformer alone, or all parts.

The file lacks T5's tokenizer and the configurations, and often the VAE and the text encoders.  They are read from a
folder in diffusers' layout, whose own transformer is not needed.  Weights in 8-bit floats are widened when they are
read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from . import conversion, model_spec, transformer_keys, weight_files
from .diffusers_folder import Folder, config
from .diffusers_folder import files as weights_of
from .families import Encoder
from .single_file import filled, loaded
from .transformer_keys import FLUX, SD3
from .weight_files import readable

ROOTS = ("model.diffusion_model.", "diffusion_model.", "transformer.", "")  # before the transformer's names
FIRST = {FLUX: "double_blocks.0.img_attn.qkv.weight", SD3: "joint_blocks.0.x_block.attn.qkv.weight"}
ENCODERS = {  # {network: where files keep it}
    "CLIPTextModel": "text_encoders.clip_l.transformer.",
    "T5EncoderModel": "text_encoders.t5xxl.transformer.",
}
SECOND = "text_encoders.clip_g.transformer."
VAES = ("first_stage_model.", "vae.")
OTHERS = (*VAES, "text_encoders.")  # the parts beside a transformer
SCALES = (".scale_weight", ".weight_scale")  # of scaled 8-bit weights; beside them may stand scales for the inputs
BESIDE = (".scale_input", ".input_scale", "scaled_fp8")


def found_in(names: dict[str, list[int]]) -> tuple[str, str] | None:
    """Return the family's title and the beginning of the transformer's names; None for any other file."""
    return next(
        ((title, root) for title, first in FIRST.items() for root in ROOTS if f"{root}{first}" in names), None
    )


class TransformerFile(Folder):
    """The parts of a model in one file, and those it lacks in `folder`; each is read when it is needed."""

    def __init__(self, path: Path, folder: Path | None, allow_pickle: bool = False):
        self.file, self.allow_pickle = path, allow_pickle
        self.shapes = weight_files.shapes(path, allow_pickle)
        kind = found_in(self.shapes)
        assert kind is not None, "the caller has looked"
        self.title, self.root = kind
        if folder is None:
            raise ModelError(
                f"{path.name} is {self.title} without its configurations and tokenizers.",
                "Name with config= (on the command line --config) the folder of such a model in diffusers' layout; "
                "its own transformer is not needed.",
            )
        super().__init__(folder, path.name)
        if self.family.title != self.title:
            raise ModelError(
                f"{path.name} is {self.title}, and the configurations in {folder.name} are not.",
                "Name the folder of a model of its kind.",
            )
        self.titles = model_spec.titles(weight_files.metadata(path))
        sub = next(iter(self.where.values()))
        self.where = {self.family.method(self.unet_config(), self.name): sub}

    def unet_config(self) -> dict[str, Any]:
        """Return the folder's configuration, with the sizes of this file."""
        return {**config(self.path, next(iter(self.where.values())), self.name), **self._sizes()}

    def unet(self, method: str, dtype: torch.dtype):
        import diffusers
        from accelerate import init_empty_weights

        cls = getattr(diffusers, self.family.network)
        with readable(self.name):
            with init_empty_weights():
                network = cls.from_config(self.unet_config())
            weights = self._tensors(self.root)
            if self.root == "":
                weights = {key: value for key, value in weights.items() if not key.startswith(OTHERS)}
            return loaded(self.name, network, converted(weights, network), dtype)

    def vae(self, dtype: torch.dtype):
        root = self._first(VAES)
        if root is None:
            return super().vae(dtype)
        import diffusers

        settings = config(self.path, "vae", self.name)
        with readable(self.name):
            weights = {f"first_stage_model.{key}": value for key, value in self._tensors(root).items()}
            weights = conversion.vae_weights(weights, settings)
            return filled(self.name, getattr(diffusers, self.family.vae), settings, weights, dtype)

    def encoder(self, spec: Encoder, dtype: torch.dtype):
        root = self._encoder_root(spec)
        if root is None:
            return super().encoder(spec, dtype)
        import transformers
        from accelerate import init_empty_weights

        kind = getattr(transformers, spec.network)
        settings = config(self.path, spec.folder, self.name)
        settings = {key: value for key, value in settings.items() if "attn_implementation" not in key}
        with readable(self.name):
            with init_empty_weights(include_buffers=False):
                network = kind(kind.config_class(**settings))
            weights = _as_named(self._tensors(root), network)
            return loaded(self.name, network, weights, dtype).requires_grad_(False)

    def files(self) -> list[Path]:
        return [self.file, *(file for sub in self._lacking() for file in weights_of(self.path / sub))]

    def unet_files(self, method: str) -> list[Path]:
        return [self.file]

    def parameters(self) -> int:
        return sum(self.sizes().values())

    def sizes(self) -> dict[str, int]:
        """Return the number of parameters in each part, here or in the folder."""
        found = {}
        roots = {spec.folder: self._encoder_root(spec) for spec in self.family.encoders} | {"vae": self._first(VAES)}
        for part, root in roots.items():
            if root is None:
                here = [weight_files.header(file) for file in weights_of(self.path / part)]
            else:
                here = [{name: shape for name, shape in self.shapes.items() if name.startswith(root)}]
            found[part] = sum(map(weight_files.count, here))
        inside = sum(found[part] for part, root in roots.items() if root is not None)
        return {"transformer": weight_files.count(self.shapes) - inside, **found}

    def _lacking(self) -> list[str]:
        """Return the folders of the parts that this file lacks."""
        subs = [spec.folder for spec in self.family.encoders if self._encoder_root(spec) is None]
        return [*subs, *(["vae"] if self._first(VAES) is None else [])]

    def _encoder_root(self, spec: Encoder) -> str | None:
        second = spec.folder == "text_encoder_2" and spec.network.startswith("CLIP")
        kind = "CLIPTextModel" if spec.network.startswith("CLIP") else spec.network
        return self._first((SECOND if second else ENCODERS[kind],))

    def _first(self, roots: tuple[str, ...]) -> str | None:
        return next((root for root in roots if any(name.startswith(root) for name in self.shapes)), None)

    def _tensors(self, root: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin so, without that beginning; scaled ones at their true size."""
        found = weight_files.tensors(self.file, self.allow_pickle)
        return unscaled({key.removeprefix(root): value for key, value in found.items() if key.startswith(root)})

    def _sizes(self) -> dict[str, Any]:
        """Return the settings that the shapes of this file's transformer tell."""
        shapes = {
            key.removeprefix(self.root): shape for key, shape in self.shapes.items() if key.startswith(self.root)
        }
        if self.title == FLUX:
            return {
                "num_layers": _blocks(shapes, "double_blocks"),
                "num_single_layers": _blocks(shapes, "single_blocks"),
                "in_channels": shapes["img_in.weight"][1],
                "out_channels": shapes["final_layer.linear.weight"][0],
                "guidance_embeds": any(key.startswith("guidance_in.") for key in shapes),
            }
        dual = {int(key.split(".")[1]) for key in shapes if ".x_block.attn2.qkv.weight" in key}
        return {
            "num_layers": _blocks(shapes, "joint_blocks"),
            "in_channels": shapes["x_embedder.proj.weight"][1],
            "dual_attention_layers": sorted(dual),
            "qk_norm": "rms_norm" if any(".ln_q." in key for key in shapes) else None,
            "pos_embed_max_size": round(shapes["pos_embed"][1] ** 0.5),
        }


def converted(weights: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return a transformer's weights by diffusers' names, cut where the original keeps several layers in one."""
    own = network.state_dict()
    dotted = {name.replace(".", "_"): name for name, _ in network.named_modules()}
    found = {}
    for key, value in weights.items():
        layer, _, kind = key.rpartition(".")
        flat = layer.replace(".", "_")
        names = [dotted.get(name, name) for name in transformer_keys.ours(flat)]
        kind = "weight" if kind == "scale" else kind
        if key == "pos_embed":
            found["pos_embed.pos_embed"] = value
        elif not names or any(f"{name}.{kind}" not in own for name in names):
            found[key] = value
        else:
            columns = own[f"{names[0]}.weight"].shape[-1]
            if transformer_keys.swapped(flat, len(value), columns):
                value = torch.cat(value.chunk(2)[::-1])
            rows = [len(own[f"{name}.{kind}"]) for name in names]
            parts = value.split(rows) if sum(rows) == len(value) else [value] * len(rows)
            found |= {f"{name}.{kind}": part for name, part in zip(names, parts, strict=True)}
    return found


def unscaled(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return scaled 8-bit weights at their true size, float32, without the scales; all others as they are."""
    found = {key: value for key, value in weights.items() if not key.endswith((*SCALES, *BESIDE))}
    for key, scale in weights.items():
        for end in SCALES:
            if key.endswith(end) and (name := key.removesuffix(end) + ".weight") in found:
                found[name] = found[name].float() * scale.float()
    return found


def _as_named(weights: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return a text encoder's weights by this network's names; files name them with or without `text_model.`."""
    bare = {key.removeprefix("text_model."): value for key, value in weights.items()}
    own, found = network.state_dict(), {}
    for key in own:
        value = bare.get(key.removeprefix("text_model."))
        if value is None and key.endswith("text_projection.weight"):
            value = torch.eye(len(own[key]))  # files leave it out where it changes nothing
        if value is None and key == "encoder.embed_tokens.weight":
            value = bare.get("shared.weight")
        if value is not None:
            found[key] = value
    return found


def _blocks(shapes: dict[str, list[int]], name: str) -> int:
    """Return the number of blocks of this name."""
    return len({key.split(".")[1] for key in shapes if key.startswith(f"{name}.")})
