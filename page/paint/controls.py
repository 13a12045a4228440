"""Build the panel beside the picture: task, prompt and button, and all other settings under Advanced.

The Advanced part is made from the request's declared options, so a new option appears there without further work.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import Field
from typing import Any

import gradio as gr

from inpaint import InvalidRequest
from inpaint.diffusion.presets import PRESETS
from inpaint.diffusion.presets import SETTINGS as FEW_STEPS
from inpaint.options import AUTO, from_text, kind_of, optional, to_text
from inpaint.request import SPEEDS, TASKS, options

from ..limits import Limits
from ..words.options import GROUPS
from ..words.say import i18n

FIRST = ("prompt", "method", "speed", "expand", "seed", "count")  # built one by one, not under Advanced
UNASKED = ("task", "width", "height", "invert")  # on the page there is always a picture, and the editor inverts masks
METHODS = ("auto", "base", "inpaint", "compare")
RANDOM = ("auto", "random", "none", "-1")


class Controls:
    """The panel's components: those of the options by name in `by_name`, in the order of `names`."""

    def __init__(self, limits: Limits, models: list[str], model: str):
        self.limits = limits
        self.by_name: dict[str, gr.components.Component] = {}
        word = i18n()
        self.task = gr.Radio(
            [(word(f"task_{name}"), name) for name in TASKS],
            value="fill",
            label=word("task"),
            elem_id="task",
            elem_classes="segments",
            container=False,
        )
        self.by_name["prompt"] = gr.Textbox(
            label=word("prompt"),
            placeholder=word("prompt_fill"),
            lines=2,
            max_lines=6,
            elem_id="prompt",
            max_length=4000,
        )
        self.by_name["expand"] = gr.Dropdown(
            ["1:1", "4:3", "3:2", "16:9", "9:16"],
            value="",
            visible=False,
            allow_custom_value=True,
            label=word("expand_to"),
            info=word("expand_info"),
            elem_id="expand",
        )
        with gr.Row(elem_id="go"):
            self.run = gr.Button(word("run"), variant="primary", elem_id="run")
            self.cancel = gr.Button(word("cancel"), variant="secondary", elem_id="cancel")
        self._basics(word, models, model)
        with gr.Accordion(word("advanced"), open=False, elem_id="advanced"):
            for group, both in GROUPS.items():
                with gr.Accordion(word(both), open=False, elem_classes="group"):
                    self._group(group)

    def _basics(self, word, models: list[str], model: str) -> None:
        self.by_name["method"] = gr.Radio(
            [(word(f"choice_{name}"), name) for name in METHODS],
            value="auto",
            label=word("method"),
            info=word("method_info"),
            elem_id="method",
            elem_classes="segments",
        )
        self.by_name["speed"] = gr.Radio(
            [(word(f"speed_{name}"), name) for name in SPEEDS],
            value="exact",
            label=word("speed"),
            info=word("speed_info"),
            elem_id="speed",
            elem_classes="segments",
        )
        with gr.Row(elem_id="numbers"):
            self.by_name["count"] = gr.Radio(
                [n for n in (1, 2, 3, 4) if n <= self.limits.count],
                value=1,
                label=word("variations"),
                elem_id="count",
                elem_classes="segments",
            )
            with gr.Column(min_width=120, elem_id="seedbox"):
                # a text box, since a number box would lose the last digits of a long seed
                self.by_name["seed"] = gr.Textbox(
                    label=word("seed"), placeholder=word("seed_random"), max_lines=1, max_length=400, elem_id="seed"
                )
                self.dice = gr.Button(word("dice"), size="sm", elem_id="dice", elem_classes="mini")
        self.fresh = gr.Checkbox(True, label=word("seed_new"), elem_id="fresh", container=False)
        self.model = gr.Dropdown(
            models,
            value=model,
            label=word("model"),
            info=word("model_info"),
            allow_custom_value=not self.limits.public,
            elem_id="model",
        )

    def _group(self, group: str) -> None:
        for name, field in options().items():
            if field.metadata["group"] == group and name not in FIRST + UNASKED:
                self.by_name[name] = self._component(name, field)

    def _component(self, name: str, field: Field) -> gr.components.Component:
        """Return a checkbox, menu, slider, number or text field, by the option's type and limits."""
        meta, kind = field.metadata, kind_of(field)
        default: Any = field.default
        words = {"label": i18n()(f"option_{name}"), "info": i18n()(f"help_{name}"), "elem_id": f"option-{name}"}
        if meta["choices"]:
            return gr.Dropdown(list(meta["choices"]), value=default, **words)
        if kind is bool:
            return gr.Checkbox(default, **words)
        if kind is str:
            return gr.Textbox(to_text(field, default), **words)
        if optional(field):  # a text box, since an empty number box turns into 0 once it is shown
            return gr.Textbox("", placeholder=AUTO, max_lines=1, max_length=40, **words)
        step = meta["step"] or (1 if kind is int else 0.05)
        most = min(meta["high"], getattr(self.limits, name, meta["high"]))
        return gr.Slider(meta["low"], most, default, step=step, **words)

    @property
    def names(self) -> list[str]:
        return list(self.by_name)

    @property
    def components(self) -> list[Any]:
        return list(self.by_name.values())

    def fits(self, name: str, value: Any) -> bool:
        """Return whether a control can hold this value."""
        component = self.by_name[name]
        try:
            component.preprocess(value)
            component.postprocess(value)
        except Exception:  # each kind of component raises its own errors
            return False
        return True

    def settings(self, values) -> dict[str, Any]:
        """Return {option: value} from the components' values, in order; raise InvalidRequest for a wrong text."""
        settings = dict(zip(self.names, values, strict=True))
        settings["expand"] = settings["expand"] or ""
        settings["seed"] = seed_of(settings["seed"])
        for name, field in options().items():
            if self.is_typed(field) and isinstance(settings.get(name), str):
                text = unicodedata.normalize("NFKC", settings[name]).strip()
                settings[name] = from_text(field, text or AUTO)
        return settings

    @property
    def preset(self) -> Any:
        return self.by_name["preset"]

    def few_steps(self, preset: str) -> list[Any]:
        """Return updates for what a preset for few steps sets; auto and none bring the defaults back."""
        found = PRESETS.get(preset, {})
        values = {name: found.get(name, options()[name].default) for name in FEW_STEPS}
        return [gr.update(value=self.shown(name, value)) for name, value in values.items()]

    @staticmethod
    def is_typed(field: Field) -> bool:
        """Return whether an option is a number typed as text; empty or auto leaves it to the program."""
        return optional(field) and kind_of(field) is not str and field.name not in FIRST + UNASKED

    def shown(self, name: str, value: Any) -> Any:
        """Return an option's value in the form its component shows."""
        field = options()[name]
        if self.is_typed(field) or name == "seed":
            return "" if value is None else str(value)
        return to_text(field, value) if kind_of(field) is str else value


def seed_of(text: Any) -> Any:
    """Return the seed in a text, any whole number; None for an empty text.  Raises InvalidRequest for other texts."""
    text = unicodedata.normalize("NFKC", str("" if text is None else text)).strip()
    if not text or text.lower() in RANDOM:
        return None
    digits = re.sub(r"[\s,_'’]", "", text)
    if not re.fullmatch(r"[+-]?\d{1,400}", digits):
        raise InvalidRequest("seed", f"The seed cannot be {text[:40]!r}.", "Type a whole number, or leave it empty.")
    return int(digits)
