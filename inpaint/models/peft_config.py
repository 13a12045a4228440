"""Read PEFT's settings of an adapter, from the file's metadata (as diffusers saves it) or adapter_config.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from . import lora_keys, weight_files

NETWORKS = {  # {network: the prefixes of its settings}
    "unet": ("unet", "transformer"),
    "text_encoder": ("text_encoder",),
    "text_encoder_2": ("text_encoder_2",),
    "t5": ("text_encoder_3",),
}
PLAIN = re.compile(r"[\w.^$|()\\-]*(\.\*[\w.^$|()\\-]*)*", re.ASCII)  # patterns for layers' names that are allowed


class PeftConfig(NamedTuple):
    """The alphas of one network's adapters, and whether they are divided by the rank or by its square root."""

    alpha: float | None = None
    rank: int | None = None
    patterns: tuple[tuple[str, float], ...] = ()  # (pattern of layers' names, the alpha of those layers)
    root: bool = False
    inputs: tuple[str, ...] = ()  # the layers whose inputs IA3 scales

    def scale(self, layer: str, rank: int | None) -> float:
        """Return the scale of a layer, by its dotted name, for this rank or the configured one."""
        alpha = next((value for key, value in self.patterns if re.match(rf"(.*\.)?({key})$", layer)), self.alpha)
        rank = rank or self.rank
        return 1.0 if alpha is None or not rank else alpha / (rank**0.5 if self.root else rank)


def read(path: Path, keys: list[str]) -> dict[str, PeftConfig]:
    """Return each network's configuration; raise ValueError, TypeError or AttributeError if it is damaged."""
    saved = json.loads(weight_files.metadata(path).get("lora_adapter_metadata", "{}"))
    file = path.with_name("adapter_config.json")
    if not saved and file.is_file() and any(lora_keys.PEFT.match(key) for key in keys):
        found = json.loads(file.read_text(encoding="utf-8"))
        return dict.fromkeys(NETWORKS, _config(found))
    return {network: _config(_own(saved, prefixes)) for network, prefixes in NETWORKS.items()}


def _own(saved: dict[str, Any], prefixes: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings without these prefixes; those of other networks keep theirs."""
    found = {}
    for key, value in saved.items():
        prefix = next((prefix for prefix in prefixes if key.startswith(f"{prefix}.")), "")
        found[key.removeprefix(f"{prefix}.")] = value
    return found


def _quick(pattern: str) -> bool:
    """Return whether a regular expression from a file is simple enough to match quickly."""
    return (
        len(pattern) <= 200 and pattern.count("*") <= 2 and pattern.count("|") <= 8 and bool(PLAIN.fullmatch(pattern))
    )


def _config(config: dict[str, Any]) -> PeftConfig:
    """Return one network's configuration."""
    numbers = [float(config[key]) for key in ("lora_alpha", "alpha") if key in config]
    patterns = {str(key): float(value) for key, value in (config.get("alpha_pattern") or {}).items()}
    if not all(map(_quick, patterns)):
        raise ValueError("a pattern that could take for ever to match")
    return PeftConfig(
        alpha=numbers[0] if numbers else None,
        rank=int(config["r"]) if config.get("r") else None,
        patterns=tuple(patterns.items()),
        root=bool(config.get("use_rslora")),
        inputs=tuple(f".{name}" for name in config.get("feedforward_modules") or () if isinstance(name, str)),
    )
