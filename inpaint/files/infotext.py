"""The settings as the text that Stable Diffusion tools write into their pictures, and read from them.

    a red scarf
    Negative prompt: blurry
    Steps: 20, Sampler: DDIM, CFG scale: 7.5, Seed: 7, Size: 512x512, Model hash: 1a2b3c4d5e, …

Values that hold a comma, a colon or a line break are JSON strings.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .. import __version__
from .. import request as declared
from ..errors import InvalidRequest
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


def write(request: declared.Request, model: dict[str, Any], size: tuple[int, int], whole: bool = False) -> str:
    """The text for one picture; with `whole` every setting of ours is in it too, as one JSON value."""
    quality = model.get("quality", "") if request.quality == "auto" else request.quality
    lines = [", ".join(part for part in (request.prompt.strip(), quality.strip()) if part)]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt.strip()}")
    facts = _facts(request, model, size)
    if whole:
        facts["Inpaint"] = json.dumps(request.settings(), ensure_ascii=False)
    return "\n".join([*lines, ", ".join(f"{name}: {_quoted(value)}" for name, value in facts.items())])


def _facts(request: declared.Request, model: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    facts: dict[str, Any] = {"Steps": request.steps, "Sampler": SAMPLERS[request.sampler]}
    if request.sampler == "dpm++ 2m":
        facts["Schedule type"] = "Karras"
    facts |= {
        "CFG scale": request.guidance_scale,
        "Seed": request.seed,
        "Size": f"{size[0]}x{size[1]}",
        "Model hash": str(model.get("fingerprint", ""))[:10],
        "Model": model.get("name", ""),
    }
    if request.eta > 0:
        facts["Eta DDIM"] = request.eta
    if request.clip_skip:
        facts["Clip skip"] = request.clip_skip + 1  # theirs counts the layer it stops at
    if request.guidance_rescale:
        facts["CFG Rescale"] = request.guidance_rescale
    if request.picture is not None:
        facts["Denoising strength"] = request.strength
    if request.mask is not None:
        facts["Mask blur"] = request.feather
        if request.invert:
            facts["Mask mode"] = "Inpaint not masked"
        if not request.whole:
            facts |= {"Inpaint area": "Only masked", "Masked area padding": request.context}
        if request.fill in CONTENT:
            facts["Masked content"] = CONTENT[request.fill]
    return {**facts, "Version": PROGRAM}


def of(image: Image.Image) -> tuple[dict[str, Any], list[str]]:
    """What `read` finds in an opened file: a PNG's text, or the EXIF comment of a JPEG or WebP, ours too."""
    text = image.info.get("parameters")
    if not isinstance(text, str):
        text = exif.comment(image.info.get("exif") or exif.exif_of(image))  # a TIFF's lies among its tags
    if not text:
        raise silent()
    return read(text)


def silent() -> InvalidRequest:
    return InvalidRequest(
        "picture",
        "This picture carries no settings.",
        "Open one as it was saved by this program or another Stable Diffusion tool.",
    )


def read(text: str) -> tuple[dict[str, Any], list[str]]:
    """Settings fit for a Request, and in words what was not taken over; InvalidRequest if there are none."""
    text = text[:LONGEST].replace("\r\n", "\n").strip("\0 \n")
    *lines, last = text.split("\n")
    pairs = {name: _unquoted(value) for name, value in PAIR.findall(last)}
    if "Steps" not in pairs:
        raise InvalidRequest("picture", "This picture's text holds no settings.", "Set them by hand.")
    notes: list[str] = []
    if "Inpaint" in pairs:
        ours = _json(pairs["Inpaint"])
        notes.append(SETTINGS_ONLY)
        return _known(ours if isinstance(ours, dict) else {}, notes), notes
    prompt, _, negative = ("\n" + "\n".join(lines)).partition("\nNegative prompt:")
    limit = declared.MAX_PROMPT
    found = {"prompt": prompt.strip()[:limit], "negative_prompt": negative.strip()[:limit]}
    found |= {ours: _number(pairs[theirs]) for theirs, ours in NUMBERS.items() if theirs in pairs}
    if "Clip skip" in pairs:
        skip = _number(pairs["Clip skip"])
        found["clip_skip"] = skip - 1 if isinstance(skip, int) else skip
    if "Sampler" in pairs:
        name = pairs["Sampler"].lower().removesuffix(" karras")
        found["sampler"] = {label.lower(): ours for ours, label in SAMPLERS.items()}.get(name, name)
    return _known(found, notes), notes


def _known(found: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Those of another tool's settings that this program has and can use; the others are noted."""
    options, usable = declared.options(), {}
    for name, value in found.items():
        try:
            usable[name] = declared.checked(options[name], value)
        except KeyError:
            notes.append(f"The setting {name[:40]} is not known here.")
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
