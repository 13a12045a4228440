"""The batch tab: many pictures, one mask or a mask each, and a zip back; every picture stands in line anew."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from anyio import to_thread

from inpaint import InpaintError, InvalidRequest
from inpaint.batch import Output, pair

from . import filenames
from .jobs import worker
from .jobs.job_queue import Busy
from .session import made
from .words.say import i18n, language, say

log = logging.getLogger("inpaint.page")


class Batch:
    """The handlers of the batch tab; both take the settings of the paint tab."""

    def __init__(self, page):
        self.page = page

    async def run(
        self, request: gr.Request, pictures: list[str] | None, masks: list[str] | None, model: str, *values: Any
    ):
        """Lines of what was done, then the zip; (text, file) each time."""
        session, words = self.page.sessions.of(request), language(request)
        lines: list[str] = []
        try:
            jobs, settings = self.plan(pictures, masks, model, values, words)
            folder = made(session.file("batch"))
            for n, job in enumerate(jobs, 1):
                state = say("batch_state", words, i=n, n=len(jobs), name=job.picture.name)
                yield "\n".join([*lines, state]), gr.skip()
                line = await self.one(job, settings, model, folder, session)
                if line is None:
                    break  # cancelled
                lines.append(line)
            lines.append(say("batch_done", words, n=sum(line[0] == "✓" for line in lines), all=len(jobs)))
            yield "\n".join(lines), packed(folder)
        except Busy as busy:
            yield say("busy", words, n=busy.place), gr.skip()
        except InpaintError as error:
            yield str(error), gr.skip()

    def plan(self, pictures, masks, model: str, values, words: str):
        """The jobs and the settings they share."""
        if not pictures:
            raise InvalidRequest("picture", say("no_picture", words))
        if len(pictures) > self.page.limits.batch:
            raise InvalidRequest(
                "batch", say("over_limit", words, name="batch", value=len(pictures), limit=self.page.limits.batch)
            )
        self.page.check_model(model, words)
        settings = self.page.controls.settings(values)
        if settings["method"] == "compare":
            settings["method"] = "auto"
        if self.page.limits.public:
            settings["keep_gps"] = False
        self.page.limits.check(settings, words)
        files = [Path(name) for name in masks or ()]
        return pair(map(Path, pictures), files[0] if len(files) == 1 else files or None), settings

    async def one(self, job, settings: dict, model: str, folder: Path, session) -> str | None:
        """One picture done and saved, or why not, in one line; None if it was cancelled."""
        name = job.picture.name
        if job.problem:
            return f"✗ {name}: {job.problem}"
        try:
            request = await to_thread.run_sync(partial(self.page.limits.request, job.picture, job.mask, **settings))

            def begin(task):
                session.task = task

            async for kind, value in self.page.desk.run(
                lambda: worker.paint(model, [request]), begin, session.address
            ):
                if kind == "stopped":
                    return None
                if kind == "event" and hasattr(value, "images"):
                    await to_thread.run_sync(Output(folder).save, value, filenames.stem(job.picture.name))
            return f"✓ {name}"
        except InpaintError as error:
            return f"✗ {name}: {error}"
        except Exception as error:
            log.exception("a picture of a batch failed")
            return f"✗ {name}: {type(error).__name__}"


def packed(folder: Path) -> Any:
    """The zip of what is in the folder."""
    from inpaint.files.zips import pack

    files = sorted(folder.iterdir())
    if not files:
        return gr.skip()
    return gr.update(value=str(pack(files, folder.parent / "inpainted.zip")), visible=True)


def batch_tab(page) -> None:
    """The tab's components; the settings come from the paint tab."""
    word, batch = i18n(), Batch(page)
    with gr.Column(elem_classes="sheet", elem_id="batch"):
        gr.Markdown(word("batch_about"))
        with gr.Row():
            pictures = gr.File(
                label=word("batch_pictures"),
                file_count="multiple",
                file_types=["image"],
                elem_id="batch-pictures",
                height=220,
            )
            masks = gr.File(
                label=word("batch_masks"),
                file_count="multiple",
                file_types=["image"],
                elem_id="batch-masks",
                height=220,
            )
        gr.Markdown(word("batch_note"), elem_classes="quietly")
        with gr.Row():
            run = gr.Button(word("batch_run"), variant="primary", elem_id="batch-run", scale=4)
            cancel = gr.Button(word("cancel"), elem_id="batch-cancel", min_width=120)
        told = gr.Textbox(
            show_label=False, lines=4, max_lines=16, interactive=False, elem_id="batch-told", container=False
        )
        done = gr.File(label=word("batch_zip"), visible=False, elem_id="batch-zip")
    cancel.click(page.running.cancel, None, None, queue=False, show_progress="hidden", api_visibility="private")
    page.after.append(
        lambda controls: run.click(
            batch.run,
            [pictures, masks, controls.model, *controls.components],
            [told, done],
            concurrency_limit=None,
            show_progress="hidden",
            api_visibility="private",
        )
    )
