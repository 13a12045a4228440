"""Declare everything a request can ask for: one frozen record for page, command line, HTTP, MCP and metadata.

Each field declares its default, its limits and its help text once; sliders, flags and checks all read them here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, fields, replace
from functools import wraps
from os import PathLike
from typing import IO, TYPE_CHECKING, Any

from .diffusion.presets import AUTO, NONE, PRESETS
from .errors import InvalidRequest
from .files.picture import Picture
from .options import checked, option

METHODS = ("auto", "base", "inpaint")
SPEEDS = ("exact", "fast")
SAMPLERS = ("ddim", "euler", "euler a", "dpm++ 2m", "unipc", "ddpm", "lcm", "tcd")
FILLS = ("auto", "original", "patch", "blur", "neutral", "noise", "smooth", "border")
TASKS: dict[str, dict[str, Any]] = {  # what a person comes for, and the settings it begins with
    "fill": {},
    "remove": {"fill": "patch", "strength": 0.3, "grow": 4},
    "replace": {"fill": "neutral"},
    "touch": {"fill": "original", "strength": 0.5},
    "expand": {"fill": "patch", "expand": "16:9"},
}
DETAILS = ("auto", "on", "off")
FINISHES = ("auto", "feather", "multiband", "poisson", "none")

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    Source = str | PathLike[str] | bytes | IO[bytes] | Image.Image | np.ndarray | Picture

    class OpenedPicture:
        """The type of `picture`: set from any source, read back as a Picture."""

        def __get__(self, request: Any, owner: Any = None) -> Picture | None: ...
        def __set__(self, request: Any, value: Source | None) -> None: ...

    class OpenedMask:
        """The type of `mask`: set from any source, read back as mode L."""

        def __get__(self, request: Any, owner: Any = None) -> Image.Image | None: ...
        def __set__(self, request: Any, value: Source | None) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A picture, a mask, a prompt and the settings.  Everything is checked at construction: InvalidRequest.

    picture  a path, bytes, PIL image, array or `Picture`; None paints from the prompt alone
    mask     the same, white = repaint; greys mean how much may change; None repaints everything

    Of the options, None leaves quality, eta, guidance_scale, seed, size, width and height to the program.
    """

    prompt: str = option("", "What to paint; empty removes what is there.")
    picture: OpenedPicture = option(None, "The picture.")
    mask: OpenedMask = option(None, "Where to paint: white = repaint.")

    task: str = option(
        "fill",
        "What to do; each task begins with settings of its own, and those that are given take precedence.",
        choices=tuple(TASKS),
        group="prompt",
    )
    negative_prompt: str = option("", "What to avoid.", group="prompt", flag="--negative")
    quality: str | None = option(
        None, "Words added to prompts; auto is the model's own, empty none.", kind=str, group="prompt"
    )
    clip_skip: int = option(0, "Leave out this many last layers of CLIP.", low=0, high=11, group="prompt")
    text_layer: str = option(
        "last",
        "Which of CLIP's outputs to use; 'hidden' is the article's, without the final norm.",
        choices=("last", "pooled", "hidden"),
        group="prompt",
    )

    method: str = option(
        "auto", "base: masked DDIM on a 4-channel UNet; inpaint: the 9-channel UNet.", choices=METHODS, group="method"
    )
    strength: float = option(
        1.0,
        "How far from the original: 1 starts from pure noise, 0 changes nothing.",
        low=0.0,
        high=1.0,
        step=0.05,
        group="method",
    )
    background: bool = option(
        True, "Put the original back outside the hole at each step (inpaint method).", group="method"
    )
    two_sided: bool = option(True, "Keep the rest in the predicted picture too, not only in x_t.", group="method")
    fresh_noise: bool = option(
        False, "Draw new noise for the original at each step, as the article does.", group="method"
    )
    article: bool = option(False, "Repeat the article's program exactly, quirks included.", group="method")

    steps: int = option(20, "Denoising steps.", low=1, high=150, group="sampling")
    exact_steps: bool = option(False, "Run all the steps, whatever the strength.", group="sampling")
    speed: str = option(
        "exact",
        "fast: most steps reuse what the last whole one found; nearly the same picture in half the time or less.",
        choices=SPEEDS,
        group="sampling",
    )
    preset: str = option(
        AUTO,
        "The sampler, spacing, steps and guidance of a model or LoRA made for few steps; auto tells it by the name.",
        choices=(AUTO, NONE, *PRESETS),
        group="sampling",
    )
    sampler: str = option("ddim", "How to walk from noise to picture.", choices=SAMPLERS, group="sampling")
    spacing: str = option(
        AUTO,
        "The noise levels walked: trailing begins at pure noise, leading a little below, auto is the model's own.",
        choices=(AUTO, "leading", "trailing"),
        group="sampling",
    )
    eta: float | None = option(
        None,
        "Fresh noise in each step of ddim and tcd: 0 is none, 1 the most, auto as much as suits the model.",
        kind=float,
        low=0.0,
        high=1.0,
        step=0.05,
        group="sampling",
    )
    guidance_scale: float | None = option(
        None,
        "How strongly the prompt pulls; 1 is off, 0 ignores it, auto is as strongly as suits the model.",
        kind=float,
        low=0.0,
        high=30.0,
        step=0.5,
        group="sampling",
        flag="--guidance",
    )
    guidance_end: float = option(
        1.0,
        "The share of the steps that is guided; a step without guidance takes half the time.",
        low=0.0,
        high=1.0,
        step=0.05,
        group="sampling",
    )
    guidance_rescale: float = option(
        0.0, "Tame the contrast of strong guidance.", low=0.0, high=1.0, step=0.05, group="sampling"
    )
    seed: int | None = option(
        None, "Same seed, same picture; any whole number, modulo 2³²; auto draws one.", kind=int, group="sampling"
    )
    count: int = option(1, "Variations: seed, seed + 1, …", low=1, high=8, group="sampling")

    whole: bool = option(False, "Work on the whole picture, not on a close-up of the hole.", group="area")
    context: int = option(
        32, "Surroundings shown to the model, at least so many pixels …", low=0, high=1024, group="area"
    )
    context_factor: float = option(
        1.5, "… and at least the hole's own size times this.", low=1.0, high=4.0, step=0.1, group="area"
    )
    islands: bool = option(
        False, "Paint islands that lie far apart one by one, each in its own close-up.", group="area"
    )
    size: int | None = option(
        None, "Working size in pixels; auto is the model's own.", kind=int, low=8, high=2048, group="area"
    )
    detail: str = option(
        "auto",
        "Paint a large area again in tiles at the picture's own detail; auto does where it was enlarged more than "
        "1.5 times, with models that paint such detail.",
        choices=DETAILS,
        group="area",
    )
    width: int | None = option(
        None, "Width when there is no picture; auto is the model's own.", kind=int, low=8, high=2048, group="area"
    )
    height: int | None = option(
        None, "Height when there is no picture; auto is the model's own.", kind=int, low=8, high=2048, group="area"
    )
    expand: str = option(
        "", "Extend the picture: pixels left,top,right,bottom, or an aspect ratio like 16:9.", group="area"
    )

    invert: bool = option(False, "Swap what is painted and what is kept.", group="mask")
    mask_from_alpha: bool = option(False, "Repaint where the picture is transparent.", group="mask", flag="--alpha")
    soft: bool = option(True, "Greys of the mask mean how much may change; off snaps them at half.", group="mask")
    fill_holes: bool = option(False, "Also repaint the inside of closed strokes.", group="mask")
    grow: int = option(0, "Grow the mask by this many pixels; negative shrinks it.", low=-256, high=256, group="mask")
    feather: int = option(0, "Soften the mask's edge inwards over this many pixels.", low=0, high=256, group="mask")
    margin: int = option(
        4, "Let the model repaint so far beyond the mask; those pixels are not kept.", low=0, high=64, group="mask"
    )

    fill: str = option(
        "auto",
        "What the hole holds at first; patch copies from its surroundings and at strength 0 is the result; auto is "
        "blur, and original below strength 1.",
        choices=FILLS,
        group="finish",
    )
    finish: str = option(
        "auto", "How the patch is joined; auto keeps the least visible seam.", choices=FINISHES, group="finish"
    )
    blend: int = option(4, "Width of the blend inside the mask, in pixels.", low=0, high=64, group="finish")
    colour_match: float = option(
        0.0, "Match the patch's colours to its surroundings.", low=0.0, high=1.0, step=0.05, group="finish"
    )
    colour_hold: float = option(
        0.0,
        "Hold the patch's broad colours to what the hole held at first.",
        low=0.0,
        high=1.0,
        step=0.05,
        group="finish",
    )
    keep_gps: bool = option(True, "Keep the place where the photo was taken in the result.", group="finish")
    mark_ai: bool = option(
        True, "Say in the file, in IPTC's words, that a network painted on the picture.", group="finish"
    )

    def __post_init__(self):
        for f in fields(self):
            if f.metadata["group"] or f.name == "prompt":
                object.__setattr__(self, f.name, checked(f, getattr(self, f.name)))
        if self.picture is not None and not isinstance(self.picture, Picture):
            object.__setattr__(self, "picture", Picture.open(self.picture))
        if self.mask is not None:
            from .files.mask_file import open_mask

            object.__setattr__(self, "mask", open_mask(self.mask))
        if self.picture is None and (self.mask is not None or self.mask_from_alpha or self.expand):
            raise InvalidRequest("picture", "There is a mask but no picture.", "Open the picture it belongs to.")
        if self.article and self.speed != "exact":
            raise InvalidRequest("speed", "The article's program has no fast steps.", "Choose exact, or not article.")

    def settings(self) -> dict[str, Any]:
        """Return all settings, without the two pictures, ready for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("picture", "mask")}

    @classmethod
    def from_image(cls, image: Any, max_pixels: int | None = None) -> Request:
        """Return the request that made this picture, read from its file; raise InvalidRequest if it holds none.

        If the file holds only settings (from this program or another tool), the picture itself becomes the request's
        picture, there is no mask, and a note says so.  Raises UnreadablePicture if the picture, its photo or its mask
        has more than `max_pixels`.
        """
        from .files.png_record import MAX_PIXELS, read

        record = read(image, options(), MAX_PIXELS if max_pixels is None else max_pixels)
        picture = record.picture and replace(record.picture, notes=(*record.picture.notes, *record.notes))
        return cls(picture=picture, mask=record.mask, **record.settings)


def begun(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given settings on top of those that their task and preset begin with, if there are any."""
    task, preset = given.get("task"), given.get("preset")
    first = TASKS.get(task, {}) if isinstance(task, str) else {}
    return {**first, **(PRESETS.get(preset, {}) if isinstance(preset, str) else {}), **given}


def _begin_with_task_and_preset(init: Callable[..., None]) -> Callable[..., None]:
    """Return an __init__ in which the settings of task and preset replace defaults, but not what is given."""

    @wraps(init)
    def __init__(self: Request, *args: Any, **given: Any) -> None:
        init(self, *args, **begun(given))

    return __init__


Request.__init__ = _begin_with_task_and_preset(Request.__init__)  # type: ignore[method-assign]


def read_settings(settings: Any, prompt: Any = None, besides: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the request's options from an object or its JSON text, and the prompt from either place.

    besides  further names that the object may hold

    Raises InvalidRequest if the settings are not an object, hold an unknown name, or give a second prompt.
    """
    try:
        chosen = json.loads(settings or "{}") if isinstance(settings, str) else {} if settings is None else settings
    except (ValueError, RecursionError) as error:  # RecursionError: brackets nested without end
        raise InvalidRequest(
            "settings", "The settings are not valid JSON.", 'Send an object like {"steps": 20}.'
        ) from error
    if not isinstance(chosen, Mapping):
        raise InvalidRequest("settings", "The settings are not a JSON object.", 'Send one like {"steps": 20}.')
    unknown = {str(name) for name in chosen} - {*options(), *besides}
    if unknown:
        raise InvalidRequest(
            "settings",
            f"There is no option named {repr(min(unknown)[:40])[1:-1]}.",
            f"Options are: {', '.join(options())}.",
        )
    if prompt and chosen.get("prompt") and chosen["prompt"] != prompt:
        raise InvalidRequest("prompt", "There are two prompts.", "Give it once, outside the settings.")
    return {**chosen, "prompt": prompt or chosen.get("prompt") or ""}


def options() -> dict[str, Field]:
    """Return the declared options by name, in order, without the two pictures."""
    return {f.name: f for f in fields(Request) if f.name not in ("picture", "mask")}


def schema() -> dict[str, Any]:
    """Return the options as a JSON schema."""
    from .options import schema as described

    properties = {name: described(f) for name, f in options().items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}
