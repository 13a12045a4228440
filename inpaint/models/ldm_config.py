"""Read the original program's configuration of a single-file model: NAME.yaml or NAME.json beside the file.

It holds what the weights do not tell: that a model predicts v (`parameterization: v`, Stable Diffusion 2.x at 768
pixels), or that its networks have another shape.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import ModelError

MAX_SIZE = 1_000_000  # bytes


def beside(path: Path) -> dict[str, Any] | None:
    """Return the configuration beside this file, if there is one in the original layout; other files are ignored."""
    for suffix in (".yaml", ".yml", ".json"):
        file = path.with_suffix(suffix)
        if not file.is_file() or file.stat().st_size > MAX_SIZE:
            continue
        found = _parsed(file)
        model = found.get("model") if isinstance(found, dict) else None
        params = model.get("params") if isinstance(model, dict) else None
        if isinstance(params, dict) and {"unet_config", "first_stage_config"} <= params.keys():
            return found
    return None


def schedule(original: dict[str, Any]) -> dict[str, Any]:
    """Return its noise schedule in diffusers' terms; ldm's "linear" means linear in the square root of beta."""
    params = original["model"]["params"]
    found: dict[str, Any] = {}
    for ours, theirs, kind in (
        ("beta_start", "linear_start", float),
        ("beta_end", "linear_end", float),
        ("num_train_timesteps", "timesteps", int),
    ):
        if isinstance(params.get(theirs), (int, float)):
            found[ours] = kind(params[theirs])
    kinds = {"v": "v_prediction", "x0": "sample"}  # ldm's own default is "eps"
    return {**found, "prediction_type": kinds.get(params.get("parameterization"), "epsilon")}


def _parsed(file: Path) -> Any:
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        return json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ModelError(f"{file.name}, beside the model, cannot be read.", "Repair it or move it away.") from error
