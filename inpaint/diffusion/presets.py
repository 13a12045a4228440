"""List the presets for models and LoRAs that were distilled to a few steps, and recognise them by their names.

Such a network needs its own sampler, spacing, number of steps and guidance, all together; with the usual ones its
pictures are washed out or burnt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

AUTO, NONE = "auto", "none"
PRESETS: dict[str, dict[str, Any]] = {  # {name: the settings it begins with}
    "lcm": {"sampler": "lcm", "steps": 4, "guidance_scale": 1.0},
    "tcd": {"sampler": "tcd", "steps": 4, "guidance_scale": 1.0, "eta": 0.3},
    "turbo": {"sampler": "euler a", "spacing": "trailing", "steps": 4, "guidance_scale": 1.0},
    "lightning": {"sampler": "euler", "spacing": "trailing", "steps": 4, "guidance_scale": 1.0},
    "hyper": {"sampler": "ddim", "spacing": "trailing", "steps": 8, "guidance_scale": 1.0, "eta": 0.0},
}
SETTINGS = tuple(dict.fromkeys(name for preset in PRESETS.values() for name in preset))  # all that a preset may set
SCHEDULERS = {"LCMScheduler": "lcm", "TCDScheduler": "tcd"}  # {diffusers' class in a model's folder: preset}
INSIDE = {"turbo": "turbo", "lightning": "lightning", "schnell": "turbo"}  # {part of a word: preset}
STEPS = re.compile(r"(?<!\d)(\d{1,2})[ _-]?steps?(?![a-z])", re.IGNORECASE)
MOST = 16  # steps; a name with more speaks of training
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True)
class FewSteps:
    """What a model's or a LoRA's name says: a preset, perhaps the number of steps, and whether it keeps guidance."""

    name: str
    preset: str
    steps: int | None = None
    guided: bool = False

    def settings(self) -> dict[str, Any]:
        """Return the preset's settings, with the number of steps that the name says."""
        found = PRESETS[self.preset] | ({"steps": self.steps} if self.steps else {})
        return {name: value for name, value in found.items() if not (self.guided and name == "guidance_scale")}


def told(names: Iterable[str], lora: bool = False) -> FewSteps | None:
    """Return what the first of these names says that says something; of a path or Hub id only the last part counts.

    A LoRA's name must also say the number of steps, unless it is an LCM or TCD: others are about lightning itself.
    """
    for name in names:
        last = name.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]
        preset, steps = _preset(last), STEPS.search(last)
        count = int(steps[1]) if steps and 1 <= int(steps[1]) <= MOST else None
        if preset and (count or not lora or preset in ("lcm", "tcd")):
            return FewSteps(last, preset, count, guided="cfg" in last.lower())
    return None


def _preset(name: str) -> str | None:
    words = [*(word.lower() for word in WORD.findall(name)), ""]
    for word, after in pairwise(words):
        if word in ("lcm", "tcd"):
            return word
        if word == "hyper" and (
            after.startswith(("sd", "flux")) or after in ("", "safetensors") or STEPS.search(name)
        ):
            return "hyper"
        inside = next((preset for part, preset in INSIDE.items() if part in word), None)
        if inside:
            return inside
    return None
