"""Repaint many pictures, with one mask or a mask each, and return a zip; every picture queues on its own."""

from __future__ import annotations

import logging
import shutil
import zipfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from anyio import to_thread

from inpaint import InpaintError, InvalidRequest
from inpaint.batch import Item, Output, pair
from inpaint.files import writing

from . import filenames
from .jobs import worker
from .jobs.events import Finished, Stopped
from .jobs.job_queue import CancelToken, QueueFull
from .server.file_input import file_input
from .session import Session
from .storage import new_folder
from .words.core import in_words, translated
from .words.say import i18n, language, say

log = logging.getLogger("inpaint.page")


class Batch:
    """The handlers of the Batch tab; they use the settings of the Paint tab."""

    def __init__(self, page):
        self.page = page

    async def run(
        self, request: gr.Request, pictures: list[str] | None, masks: list[str] | None, model: str, *values
    ):
        """Yield (text, file): lines that say what has been done so far, and at the end the zip."""
        session, words = self.page.sessions.of(request), language(request)
        session.language = words
        if not await self.page.listeners.heard([request.session_hash]):
            return  # as on the paint tab
        lines: list[str] = []
        try:
            name = self.page.model_named(str(model or self.page.shown_model), words)
            jobs, settings = self.plan(pictures, masks, values, words)
            self.page.storage.check()
            with session.running("batch") as cancel, session.new_file("batch", "inpainted.zip") as zip_file:
                folder = new_folder(zip_file.parent / "pictures")
                for n, job in enumerate(jobs, 1):
                    state = say("batch_state", words, i=n, n=len(jobs), name=job.picture.name)
                    yield "\n".join([*lines, state]), gr.skip()
                    try:
                        line = await self.one(job, settings, name, folder, session, cancel)
                    except QueueFull as full:  # the pictures done so far are returned all the same
                        lines.append(say("busy", words, n=full.position))
                        break
                    if line is None:
                        break  # cancelled
                    lines.append(line)
                lines.append(say("batch_done", words, n=sum(line[0] == "✓" for line in lines), all=len(jobs)))
                packed = await to_thread.run_sync(pack_all, folder, zip_file)
            yield "\n".join(lines), gr.update(value=str(packed), visible=True) if packed else gr.skip()
        except InpaintError as error:
            yield "\n".join([*lines, in_words(error, words)]), gr.skip()
        except Exception as error:
            log.exception("a batch failed")
            yield "\n".join([*lines, say("unexpected", words, error=type(error).__name__)]), gr.skip()

    def cancel(self, request: gr.Request) -> None:
        """Stop this visitor's batch, within one step or before its next picture."""
        self.page.sessions.of(request).cancel("batch")

    def plan(self, pictures, masks, values, words: str) -> tuple[list[Item], dict[str, Any]]:
        """Return the batch's items and the settings they share; raise InvalidRequest beyond the page's limits."""
        if not pictures:
            raise InvalidRequest("picture", say("no_picture", words))
        if len(pictures) > self.page.limits.batch:
            raise InvalidRequest(
                "batch", say("over_limit", words, name="batch", value=len(pictures), limit=self.page.limits.batch)
            )
        settings = self.page.controls.settings(values)
        if settings["method"] == "compare":
            settings["method"] = "auto"
        if self.page.limits.public:
            settings |= {"keep_gps": False, "mark_ai": True}
        self.page.limits.check(settings, words)
        files = [Path(name) for name in masks or ()]
        return pair(map(Path, pictures), files[0] if len(files) == 1 else files or None), settings

    async def one(
        self, job: Item, settings: dict, model: str, folder: Path, session: Session, cancel: CancelToken
    ) -> str | None:
        """Repaint and save one picture; return a line for the report, or None if it was cancelled."""
        name = job.picture.name
        if cancel.cancelled:
            return None
        if job.problem:
            return f"✗ {name}: {translated(job.problem, session.language)}"
        try:
            request = await to_thread.run_sync(partial(self.page.limits.request, job.picture, job.mask, **settings))
            work = partial(worker.paint, model, [request])
            async for event in self.page.queue.run(work, address=session.address, cancel=cancel):
                match event:
                    case Stopped():
                        return None
                    case Finished(result):
                        output = Output(folder, metadata=self.page.limits.metadata)
                        await to_thread.run_sync(output.save, result, filenames.stem(name))
            return f"✓ {name}"
        except InpaintError as error:
            return f"✗ {name}: {in_words(error, session.language)}"
        except QueueFull:
            raise
        except Exception as error:
            log.exception("a picture of a batch failed")
            return f"✗ {name}: {type(error).__name__}"


def pack_all(folder: Path, zip_file: Path) -> Path | None:
    """Pack the files of the folder into a zip and remove them; return None if there are none."""
    files = sorted(folder.iterdir())
    if not files:
        return None
    pack(files, zip_file)
    shutil.rmtree(folder, ignore_errors=True)
    return zip_file


def pack(files: Iterable[Path], path: Path) -> Path:
    """Write a zip of these files, without their folders; stored, since compressed pictures do not shrink further."""
    taken: set[str] = set()
    with (
        writing.whole(path) as packed,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive,  # for dates before 1980
    ):
        for file in files:
            name, number = file.name, 0
            while name.lower() in taken:
                number += 1
                name = f"{file.stem}-{number}{file.suffix}"
            taken.add(name.lower())
            archive.write(file, name)
    return path


def batch_tab(page) -> None:
    """Build the tab; its settings are those of the Paint tab."""
    word, batch = i18n(), Batch(page)
    with gr.Column(elem_classes="sheet", elem_id="batch"):
        gr.Markdown(word("batch_about"))
        with gr.Row():
            pictures = file_input(
                label=word("batch_pictures"),
                file_count="multiple",
                file_types=["image"],
                elem_id="batch-pictures",
                height=220,
            )
            masks = file_input(
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
        report = gr.Textbox(
            label=word("batch_report"),
            show_label=False,
            lines=4,
            max_lines=16,
            interactive=False,
            elem_id="batch-report",
            container=False,
        )
        done = gr.File(label=word("batch_zip"), visible=False, elem_id="batch-zip")
    cancel.click(batch.cancel, None, None, queue=False, show_progress="hidden", api_visibility="private")
    page.after.append(
        lambda controls: run.click(
            batch.run,
            [pictures, masks, controls.model, *controls.components],
            [report, done],
            concurrency_limit=None,
            show_progress="hidden",
            api_visibility="private",
        )
    )
