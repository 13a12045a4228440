"""Put the page together: mask editor, controls and tabs, and connect their events to handlers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import gradio as gr

from inpaint.diffusion.presets import SETTINGS as FEW_STEPS
from inpaint.paths import without_folders
from inpaint.request import TASKS, options

from .jobs import worker
from .jobs.current_model import current_model
from .jobs.job_queue import JobQueue, QueuedJob
from .limits import Limits
from .paint import examples
from .paint.controls import Controls
from .paint.editor import editor
from .paint.opening import Opening
from .paint.results import Results
from .paint.running import Running
from .paint.selecting import Selecting
from .server.listeners import Listeners
from .session import Sessions
from .storage import Storage
from .words.say import i18n, language, say

COLLECT = "(packed, ...rest) => [window.inpaint.collect(rest, %s), ...rest]"
CHANGED = "(...values) => { window.inpaint?.changed(values, %s); }"
FAILED = "() => window.inpaint.failed()"  # Gradio refused an event before its handler, or could not send it
DICE = "() => [String(Math.floor(Math.random() * 2 ** 32)), false]"
THEME_JS = """() => { document.body.classList.toggle('dark');
localStorage.setItem('inpaint-theme', document.body.classList.contains('dark') ? 'dark' : 'light'); }"""


class Page:
    """One running page: its limits, its visitors, its queue and its components."""

    def __init__(self, limits: Limits, model: str, finder: str | None = None):
        self.limits, self.model = limits, model
        self.sessions = Sessions(limits.session_minutes, limits.sessions, limits.sessions_each, limits.away_seconds)
        self.storage, self.listeners = Storage(limits.disk_megabytes), Listeners()
        self.queue = JobQueue(limits.queue, limits.waiting)
        self.opening, self.running, self.results = Opening(self), Running(self), Results(self)
        self.selecting = Selecting(self, finder)
        self.after: list[Callable[[Controls], None]] = []  # called once the controls exist, for other tabs' events
        self.shown_model = without_folders(model)
        self.models = list(dict.fromkeys([self.shown_model, *limits.models]))

    def model_named(self, name: str, language: str) -> str:
        """Return the model with this display name; raise InvalidRequest if it may not be used here."""
        self.limits.check_model(name, self.models, language)
        return self.model if name == self.shown_model else name

    def build(self) -> gr.Blocks:
        """Build the Blocks, ready to be launched."""
        from .api import add_api
        from .batch import batch_tab
        from .how_it_works import learn_tab
        from .server.gradio_errors import translate_errors

        word = i18n()
        with gr.Blocks(
            title="Inpaint",
            analytics_enabled=False,
            fill_width=True,
            delete_cache=(600, 60 * self.limits.session_minutes),
        ) as demo:
            with gr.Row(elem_id="head"):
                gr.HTML(
                    "<h1><span class='mark' aria-hidden='true'></span>Inpaint</h1>",
                    elem_id="brand",
                    apply_default_css=False,
                )
                theme = gr.Button(word("theme"), elem_id="theme", size="sm", elem_classes="mini")
            with gr.Tabs(elem_id="tabs"):
                with gr.Tab(word("tab_paint"), id="paint"), gr.Row(elem_id="workspace", equal_height=False):
                    self.editor = editor(
                        examples.thumbnails(),
                        {
                            "bytes": self.limits.megabytes * 2**20,
                            "metadata": self.limits.metadata,
                            "minutes": max(1, round(self.limits.away_seconds / 60)),
                        },
                    )
                    with gr.Column(elem_id="panel", min_width=280):
                        self.controls = Controls(self.limits, self.models, self.shown_model)
                with gr.Tab(word("tab_batch"), id="batch"):
                    batch_tab(self)
                with gr.Tab(word("tab_learn"), id="learn") as self.learn_tab:
                    learn_tab(self)
            self.packed = gr.Textbox(visible=False)
            self.connect(demo)
            theme.click(None, js=THEME_JS, api_visibility="private")
            add_api(self)
        translate_errors(demo)
        # all events pass Gradio's queue first, most in a moment; the API cannot call queued handlers directly
        return demo.queue(max_size=20 * self.limits.queue, api_open=False)

    def connect(self, demo: gr.Blocks) -> None:
        """Connect every event of the paint tab to its handler."""
        c, editor = self.controls, self.editor
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        free = {**quiet, "queue": False}
        everything = [editor, c.task, c.fresh, *c.components]
        asked = [c.task, c.model, c.fresh, *c.components]
        ids = json.dumps([part.elem_id for part in asked])
        events = [
            editor.open(self.opening.opened, None, everything, concurrency_limit=4, **quiet),
            editor.example(self.opening.example, None, everything, concurrency_limit=4, **quiet),
            editor.mask(self.opening.mask, None, editor, concurrency_limit=4, **quiet),
            editor.outline(
                self.selecting.outline, None, editor, concurrency_limit=2, trigger_mode="multiple", **quiet
            ),
            editor.act(self.results.act, None, editor, concurrency_limit=4, **quiet),
            editor.rescue(self.running.rescue, None, editor, concurrency_limit=None, **quiet),
            # jobs wait in the job queue, so Gradio lets all calls through; Request checks the values, not Gradio
            c.run.click(
                self.running.run,
                [self.packed, *asked],
                [editor, c.by_name["seed"]],
                js=COLLECT % ids,
                concurrency_limit=None,
                trigger_mode="once",
                preprocess=False,
                **quiet,
            ),
        ]
        for event in events:
            event.failure(None, js=FAILED, api_visibility="private")
        editor.copy(self.results.copy, None, editor, concurrency_limit=4, trigger_mode="multiple", **quiet)
        editor.scrub(self.results.scrub, None, editor, **free)
        editor.detail(self.results.detail, None, editor, trigger_mode="multiple", **free)
        c.cancel.click(self.running.cancel, None, None, **free)
        gr.on([part.change for part in asked], None, asked, js=CHANGED % ids, api_visibility="private")
        c.dice.click(None, None, [c.by_name["seed"], c.fresh], js=DICE, api_visibility="private")
        preset = [c.by_name[name] for name in ("fill", "strength", "grow", "expand", "prompt")]
        few = [c.by_name[name] for name in FEW_STEPS]
        c.preset.input(c.few_steps, c.preset, few, **free)
        c.model.input(self.needs, c.model, c.model, **free)
        c.task.input(task_settings, [c.task, c.by_name["prompt"]], preset, **free)
        for connect in self.after:
            connect(c)
        demo.unload(self.sessions.disconnected)

    def needs(self, model: Any, request: gr.Request | None = None):
        """Return an update that says below the model's name how much memory it needs and how much there is."""
        from inpaint.models.needs import GB, of

        found = of(self.model if model == self.shown_model else str(model or ""))
        if found is None or self.limits.public:
            return gr.update(info=i18n()("model_info"))
        numbers = {"all": found.together, "largest": found.largest, "free": found.free}
        shown = {name: f"{n / GB:.1f}" for name, n in numbers.items()}
        return gr.update(info=say("model_needs", language(request), **shown))

    def warm(self) -> None:
        """Load the model and run it once, as jobs of their own, while the page is already up."""
        self.queue.submit(QueuedJob(lambda: current_model.switch_to(self.model)))
        self.queue.submit(QueuedJob(lambda: worker.warm_up(self.model), way=True))


def task_settings(task: str, prompt: str) -> list:
    """Return updates for fill, strength, grow, expand and prompt, as the task sets them."""
    preset = {name: TASKS[task].get(name, options()[name].default) for name in ("fill", "strength", "grow", "expand")}
    return [
        gr.update(value=preset["fill"]),
        gr.update(value=preset["strength"]),
        gr.update(value=preset["grow"]),
        gr.update(value=preset["expand"], visible=task == "expand"),
        gr.update(value="" if task == "remove" else prompt, placeholder=i18n()(f"prompt_{task}")),
    ]


def theme() -> gr.themes.Base:
    """Return the theme: calm greys, one accent colour, the system's own typefaces."""
    fonts = ["Inter", "ui-sans-serif", "system-ui", "sans-serif"]
    return gr.themes.Base(
        primary_hue="rose", neutral_hue="zinc", radius_size="lg", font=fonts, font_mono=["ui-monospace", "monospace"]
    )


def head() -> str:
    """Return HTML for <head>: the viewport, the saved light or dark mode, and styles that Gradio's CSS cannot hold.

    On narrow screens the button sticks to the window's edge; scroll-padding keeps focused fields clear of it.
    """
    return """<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<style>@media (max-width: 900px) { html { scroll-padding: 12px 0 72px; } }</style>
<script>addEventListener('DOMContentLoaded', () => { const t = localStorage.getItem('inpaint-theme');
if (t) document.body.classList.toggle('dark', t === 'dark'); });</script>"""
