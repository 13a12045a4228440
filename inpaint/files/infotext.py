"""Write and read settings as "parameters" text, as Stable Diffusion tools store them in pictures.

    a red scarf
    Negative prompt: blurry
    Steps: 20, Sampler: DDIM, CFG scale: 7.5, Seed: 7, Size: 512x512, Model hash: 1a2b3c4d5e, …

Values that hold a comma, a colon or a line break are JSON strings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import Field
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import InvalidRequest
from ..options import AUTO, MAX_PROMPT, checked
from . import exif

if TYPE_CHECKING:
    from PIL import Image

PROGRAM = f"inpaint {__version__}"
SAMPLERS = {
    "ddim": "DDIM",
    "euler": "Euler",
    "euler a": "Euler a",
    "dpm++ 2m": "DPM++ 2M",
    "unipc": "UniPC",
    "ddpm": "DDPM",
    "lcm": "LCM",
    "tcd": "TCD",
}
CONTENT = {"original": "original", "blur": "fill", "noise": "latent noise", "neutral": "latent nothing"}
NUMBERS = {
    "Steps": "steps",
    "CFG scale": "guidance_scale",
    "Seed": "seed",
    "Denoising strength": "strength",
    "Eta DDIM": "eta",
    "Eta": "eta",
    "Mask blur": "feather",
    "Masked area padding": "context",
    "CFG Rescale": "guidance_rescale",
}
PAIR = re.compile(r'\s*(\w[\w \-/+]{0,60}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
LONGEST = 200_000  # characters
SETTINGS_ONLY = (
    "This file holds the settings, but not the photo and the mask they were used with: paint or open a mask."
)
VERSION = 2  # of the settings; raised only if an older program would repeat a picture wrongly
VERSION_1_AUTO = {"guidance_scale": 0, "eta": -1, "seed": -1, "size": 0, "width": 0, "height": 0, "quality": "auto"}


def write(
    settings: Mapping[str, Any],
    model: Mapping[str, Any],
    size: tuple[int, int],
    picture: bool = True,
    mask: bool = True,
    whole: bool = False,
) -> str:
    """Return the text for one result of this size.

    picture, mask  whether it was made from a picture, and through a mask
    whole          add all settings of this program, as one JSON value
    """
    quality = model.get("quality", "") if settings["quality"] is None else settings["quality"]
    lines = [", ".join(part for part in (settings["prompt"].strip(), quality.strip()) if part)]
    if settings["negative_prompt"]:
        lines.append(f"Negative prompt: {settings['negative_prompt'].strip()}")
    facts = _facts(settings, model, size, picture, mask)
    if whole:
        facts["Inpaint"] = json.dumps({"version": VERSION, **settings}, ensure_ascii=False)
    return "\n".join([*lines, ", ".join(f"{name}: {_quoted(value)}" for name, value in facts.items())])


def _facts(
    settings: Mapping[str, Any], model: Mapping[str, Any], size: tuple[int, int], picture: bool, mask: bool
) -> dict[str, Any]:
    facts: dict[str, Any] = {"Steps": settings["steps"], "Sampler": SAMPLERS[settings["sampler"]]}
    if settings["sampler"] == "dpm++ 2m":
        facts["Schedule type"] = "Karras"
    facts |= {
        "CFG scale": _or_auto(settings["guidance_scale"]),
        "Seed": _or_auto(settings["seed"]),
        "Size": f"{size[0]}x{size[1]}",
        "Model hash": str(model.get("fingerprint", ""))[:10],
        "Model": model.get("name", ""),
    }
    if settings["eta"]:
        facts["Eta DDIM"] = settings["eta"]
    if settings["clip_skip"]:
        facts["Clip skip"] = settings["clip_skip"] + 1  # other tools count the layer at which CLIP stops
    if settings["guidance_rescale"]:
        facts["CFG Rescale"] = settings["guidance_rescale"]
    if picture:
        facts["Denoising strength"] = settings["strength"]
    if mask:
        facts["Mask blur"] = settings["feather"]
        if settings["invert"]:
            facts["Mask mode"] = "Inpaint not masked"
        if not settings["whole"]:
            facts |= {"Inpaint area": "Only masked", "Masked area padding": settings["context"]}
        if settings["fill"] in CONTENT:
            facts["Masked content"] = CONTENT[settings["fill"]]
    return {**facts, "Version": PROGRAM}


def _or_auto(value: Any) -> Any:
    return AUTO if value is None else value


def renewed(settings: dict[str, Any], version: int) -> dict[str, Any]:
    """Return settings in today's form: where the program chooses, version 1 stored a number or word, not null."""
    if version >= VERSION:
        return settings
    auto = {name for name, value in VERSION_1_AUTO.items() if settings.get(name) == value}
    return {name: None if name in auto else value for name, value in settings.items()}


def of(image: Image.Image, options: Mapping[str, Field]) -> tuple[dict[str, Any], list[str]]:
    """Read the settings of an opened file, from a PNG's text or the EXIF comment of a JPEG, WebP or TIFF; and notes.

    Raises InvalidRequest if there are none.
    """
    text = image.info.get("parameters")
    if not isinstance(text, str):
        text = exif.comment(image.info.get("exif") or exif.exif_of(image))  # a TIFF has no EXIF block in `info`
    if not text:
        raise no_settings()
    return read(text, options)


def no_settings() -> InvalidRequest:
    """Return the error for a picture without settings."""
    return InvalidRequest(
        "picture",
        "This picture holds no settings.",
        "Open one as it was saved by this program or another Stable Diffusion tool.",
    )


def read(text: str, options: Mapping[str, Field]) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that fit these options, and notes on the others; raise InvalidRequest if there are none."""
    text = text[:LONGEST].replace("\r\n", "\n").strip("\0 \n")
    *lines, last = text.split("\n")
    pairs = {name: _unquoted(value) for name, value in PAIR.findall(last)}
    if "Steps" not in pairs:
        raise InvalidRequest("picture", "This picture's text holds no settings.", "Set them by hand.")
    notes: list[str] = []
    if "Inpaint" in pairs:
        ours = _json(pairs["Inpaint"])
        ours = ours if isinstance(ours, dict) else {}
        version = ours.pop("version", 1)
        notes.append(SETTINGS_ONLY)
        return _known(renewed(ours, version if isinstance(version, int) else 1), options, notes), notes
    prompt, _, negative = ("\n" + "\n".join(lines)).partition("\nNegative prompt:")
    found: dict[str, Any] = {
        "prompt": prompt.strip()[:MAX_PROMPT],
        "negative_prompt": negative.strip()[:MAX_PROMPT],
    }
    found |= {ours: _number(pairs[theirs]) for theirs, ours in NUMBERS.items() if theirs in pairs}
    if found.get("seed") == -1:
        found["seed"] = None  # other tools write -1 for a random seed
    if "Clip skip" in pairs:
        skip = _number(pairs["Clip skip"])
        found["clip_skip"] = skip - 1 if isinstance(skip, int) else skip
    if "Sampler" in pairs:
        name = pairs["Sampler"].lower().removesuffix(" karras")
        found["sampler"] = {label.lower(): ours for ours, label in SAMPLERS.items()}.get(name, name)
    return _known(found, options, notes), notes


def _known(found: dict[str, Any], options: Mapping[str, Field], notes: list[str]) -> dict[str, Any]:
    """Return those of another tool's settings that this program can use, and note the others."""
    usable = {}
    for name, value in found.items():
        try:
            usable[name] = checked(options[name], value)
        except KeyError:
            notes.append(f"The setting {name[:40]} is unknown.")
        except InvalidRequest as error:
            notes.append(f"{error.problem} The default is used.")
    return usable


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _quoted(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if re.search(r'[,:\n"]', text) else text


def _unquoted(text: str) -> str:
    value = _json(text) if text.startswith('"') else text
    return value if isinstance(value, str) else text.strip()


def _json(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, (dict, str)) else {}
