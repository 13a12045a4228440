"""Translate ldm's names and configurations to diffusers', using diffusers' own converters.

The converters are not part of its public interface, so only this module uses them.  tests/models/test_conversion.py
fails when one of them changes; if one is missing, loading such a model raises ModelError.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..errors import ModelError

TEXT = "cond_stage_model."  # the root of the text encoder in Stable Diffusion 1.x and 2.x


def unet_weights(weights: dict[str, Tensor], config: dict[str, Any]) -> dict[str, Tensor]:
    """Return a checkpoint's UNet in diffusers' naming, for a UNet of this configuration."""
    return _converter("convert_ldm_unet_checkpoint")(weights, config)


def dropped(given: dict[str, Tensor], converted: dict[str, Tensor]) -> list[str]:
    """Return the names of the weights that `unet_weights` does not know and has left out."""
    kept = {id(value) for value in converted.values()}
    return [name for name, value in given.items() if id(value) not in kept]


def vae_weights(weights: dict[str, Tensor], config: dict[str, Any]) -> dict[str, Tensor]:
    """Return a checkpoint's VAE in diffusers' naming, for a VAE of this configuration."""
    return _converter("convert_ldm_vae_checkpoint")(weights, config)


def text_weights(weights: dict[str, Tensor], encoder: nn.Module, root: str = TEXT) -> dict[str, Tensor]:
    """Return a checkpoint's text encoder in the naming of this one, CLIP or OpenCLIP; absent weights are left out."""
    weights = {key: value for key, value in weights.items() if key.startswith(root)}
    if any(key.startswith(f"{root}model.") for key in weights):
        found = _converter("convert_open_clip_checkpoint")(encoder, weights, prefix=f"{root}model.")
    else:
        found = _converter("convert_ldm_clip_checkpoint")(weights)
    found = {key.removeprefix("text_model."): value for key, value in found.items()}  # transformers 5 has no prefix
    own = {key: found.get(key.removeprefix("text_model.")) for key in encoder.state_dict()}
    return {key: value for key, value in own.items() if value is not None}


def config_of(part: str, original: dict[str, Any]) -> dict[str, Any]:
    """Return diffusers' configuration of the "unet" or the "vae" of a model in the original layout."""
    return _converter(f"create_{part}_diffusers_config_from_ldm")(original, {})


def _converter(name: str):
    from diffusers import __version__

    try:
        from diffusers.loaders import single_file_utils

        return getattr(single_file_utils, name)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"diffusers {__version__} cannot convert models in one file.",
            "Install the version in requirements.txt, or use a model folder in diffusers' layout.",
        ) from error
