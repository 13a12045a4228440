"""Read what a single file states about itself: marker keys among its tensors, and its safetensors metadata.

v_pred, ztsnr                     empty tensors by which trainers mark a checkpoint that predicts v or ends in noise
modelspec.prediction_type         v, epsilon …    (Stability AI's ModelSpec)
modelspec.predict_key             the same, as ComfyUI saves it
modelspec.architecture            stable-diffusion-v2-768-v
modelspec.resolution              768x768
modelspec.title, ss_output_name                   its name
ss_v_parameterization, ss_zero_terminal_snr       kohya's trainer
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

KINDS = {
    **dict.fromkeys(("v", "vpred", "vprediction", "velocity"), "v_prediction"),
    **dict.fromkeys(("epsilon", "eps", "e", "noise"), "epsilon"),
    **dict.fromkeys(("sample", "x0", "x"), "sample"),
}
TRAILING = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}


def schedule(keys: Iterable[str], metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the noise schedule the file states, in diffusers' terms; {} if it states none."""
    keys = set(keys)
    found: dict[str, Any] = {}
    for key in ("modelspec.prediction_type", "modelspec.predict_key"):
        kind = KINDS.get(re.sub(r"[\W_]", "", metadata.get(key, "")).lower())
        if kind:
            found["prediction_type"] = kind
    architecture = metadata.get("modelspec.architecture", "").lower()
    if re.match(r"stable-diffusion-v2-768-v\b", architecture):
        found.setdefault("prediction_type", "v_prediction")
    if "v_pred" in keys or _true(metadata, "ss_v_parameterization"):
        found["prediction_type"] = "v_prediction"
    if "ztsnr" in keys or _true(metadata, "ss_zero_terminal_snr"):
        found |= TRAILING
    return found


def side(metadata: Mapping[str, str]) -> int | None:
    """Return the training size in pixels that the file states, or None."""
    found = re.fullmatch(r"(\d{2,5})(?:x(\d{2,5}))?", metadata.get("modelspec.resolution", "").strip().lower())
    return max(int(number) for number in found.groups() if number) if found else None


def titles(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names that the file gives itself."""
    return tuple(metadata[key] for key in ("modelspec.title", "ss_output_name") if metadata.get(key))


def is_xl(keys: Iterable[str], metadata: Mapping[str, str]) -> bool:
    """Return whether a file is Stable Diffusion XL, or a part of it."""
    known = ("conditioner.", "model.diffusion_model.label_emb.")
    return "-xl-" in f"{metadata.get('modelspec.architecture', '')}-".lower() or any(
        key.startswith(known) for key in keys
    )


def _true(metadata: Mapping[str, str], key: str) -> bool:
    return metadata.get(key, "").strip().lower() in ("true", "1")
