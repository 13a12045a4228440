"""Open an uploaded file or an example; a saved result restores its picture, mask and settings."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gradio as gr

from inpaint import InpaintError, InvalidRequest, Picture, Request, UnreadablePicture
from inpaint.files.mask_file import notes_of, open_mask
from inpaint.pixels.mask import fitted
from inpaint.request import TASKS

from .. import filenames, images
from ..session import Session
from ..storage import files_folder
from ..words.core import in_words, translated
from ..words.say import language, say
from . import examples, messages

SALT = 16  # random bytes that the page adds to every upload, so that no two visitors share a stored copy


class Opening:
    """The handlers of the editor's events "open", "example" and "mask".

    The first two return (message, task, fresh seed, *settings).
    """

    def __init__(self, page):
        self.page = page

    def opened(self, event: gr.EventData, request: gr.Request):
        """Open the uploaded file; if it is not a picture, return a message that says so."""
        session = self.page.sessions.of(request)
        session.language = language(request)
        try:
            data = taken(str(event._data.get("path", "")))
            self.page.sessions.check_room(session)
            return self.put(session, data, str(event._data.get("name")), event._data.get("settings"))
        except InpaintError as error:
            return self.sorry(in_words(error, session.language))

    def example(self, event: gr.EventData, request: gr.Request):
        """Open an example, with its mask."""
        session = self.page.sessions.of(request)
        session.language = language(request)
        try:
            self.page.sessions.check_room(session)
            picture, mask, prompt = examples.read(str(event._data.get("name", "")))
        except InpaintError as error:
            return self.sorry(in_words(error, session.language))
        self.place(session, picture, say("example_name", session.language))
        message = self.picture(session, mask=images.shown_grey(mask), opened=True)
        if event._data.get("settings"):
            return message, *self.restored(event._data["settings"])
        settings = {"prompt": prompt, "expand": ""}
        return message, gr.update(value="fill"), gr.skip(), *self.settings(settings)

    def mask(self, event: gr.EventData, request: gr.Request):
        """Use the uploaded file, any kind of mask, as the mask of the current picture."""
        session = self.page.sessions.of(request)
        session.language = language(request)
        try:
            data = taken(str(event._data.get("path", "")))
            if session.picture is None:
                raise InvalidRequest("picture", say("no_picture", session.language))
            self.page.limits.check_file(data, session.language)
            opened = open_mask(data)
            mask, notes = fitted(opened, session.picture.size, session.picture.orientation)
            empty = mask.getbbox() is None
            sentences = [
                say("mask_is_empty" if empty else "mask_loaded", session.language),
                *(translated(note, session.language) for note in [*notes_of(opened), *notes]),
            ]
            return messages.mask(images.shown_grey(mask), " ".join(sentences), empty)
        except InpaintError as error:
            return messages.notice(in_words(error, session.language), bad=True, forgotten=session.picture is None)

    def put(self, session: Session, data: bytes, name: str, values: Any = None):
        """Open these bytes as a picture or a saved result; `values`, if given, are restored in the controls."""
        self.page.limits.check_file(data, session.language)
        try:
            record = Request.from_image(data, max_pixels=round(self.page.limits.megapixels * 1e6))
        except InvalidRequest:
            record = None
        if record is None or record.picture is None:
            picture = Picture.open(data)
            self.check_size(picture, session.language)
            self.place(session, picture, filenames.stem(name))
            notes = " ".join(translated(note, session.language) for note in picture.notes)
            return self.picture(session, opened=True, say=notes), *self.restored(values)
        self.check_size(record.picture, session.language)
        self.place(session, record.picture, filenames.stem(name))
        mask = images.shown_grey(record.mask) if record.mask is not None else None
        missing = " ".join(translated(note, session.language) for note in record.picture.notes)
        message = self.picture(session, mask=mask, opened=True, say=missing or say("restored", session.language))
        if values:
            return message, *self.restored(values)
        settings = record.settings()
        return message, gr.update(value=task_of(settings)), gr.update(value=False), *self.settings(settings)

    def place(self, session: Session, picture: Picture, name: str) -> None:
        """Make this the current picture, and stop the run on the one before."""
        session.cancel("paint")
        session.put(picture, self.page.limits.session_megabytes)
        session.name = name

    def check_size(self, picture: Picture, words: str = "en") -> None:
        """Raise UnreadablePicture for more pixels than this page accepts."""
        self.page.limits.check_pixels(*picture.size, words)

    def picture(self, session: Session, **more: Any) -> dict[str, Any]:
        """Return the message that shows the session's picture."""
        picture = session.pictures[session.at]
        alpha = images.shown_grey(picture.alpha.point(lambda v: 255 - v)) if picture.alpha is not None else None
        return messages.picture(
            images.shown_picture(picture),
            picture.size,
            session.name,
            alpha=alpha,
            back=session.at > 0,
            forward=session.at + 1 < len(session.pictures),
            key=session.key,
            **more,
        )

    def sorry(self, sentence: str):
        """Return an answer that says why nothing was opened, and changes nothing."""
        return messages.notice(sentence, bad=True), gr.skip(), gr.skip(), *self.skips()

    def restored(self, values: Any) -> list[Any]:
        """Return updates for task, fresh seed and all controls, from the values that the page had before a reload."""
        names = self.page.controls.names
        if not isinstance(values, list) or len(values) != 3 + len(names):
            return [gr.skip(), gr.skip(), *self.skips()]
        task, _, fresh, *rest = values
        fits = self.page.controls.fits
        settings = {name: value for name, value in zip(names, rest, strict=True) if fits(name, value)}
        if task not in TASKS:
            return [gr.skip(), gr.skip(), *self.settings(settings)]
        if task != "expand":
            settings.pop("expand", None)
        return [gr.update(value=task), gr.update(value=bool(fresh)), *self.settings(settings)]

    def skips(self) -> list[Any]:
        """Return updates that leave all controls unchanged."""
        return [gr.skip() for _ in self.page.controls.names]

    def settings(self, settings: dict[str, Any]) -> list[Any]:
        """Return updates for the controls, in their order; controls that are not in `settings` stay unchanged."""
        shown: dict[str, dict[str, Any]] = {}
        if "expand" in settings:
            shown["expand"] = {"visible": bool(settings["expand"])}
        controls = self.page.controls
        return [
            gr.update(value=controls.shown(name, settings[name]), **shown.get(name, {}))
            if name in settings
            else gr.skip()
            for name in controls.names
        ]


def task_of(settings: dict[str, Any]) -> str:
    """Return the task of a restored request; older files do not name it."""
    return "expand" if settings["expand"] else settings["task"]


def taken(path: str) -> bytes:
    """Read the uploaded bytes and remove the stored copy; raise UnreadablePicture if the file was not uploaded."""
    try:
        file, folder = Path(path).resolve(), files_folder()
        if folder not in file.parent.parents or folder / "sessions" in file.parents or not file.is_file():
            raise UnreadablePicture("The file did not arrive.", "Choose it again.")
        data = file.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:  # a zero byte, a loop of links, an endless name
        raise UnreadablePicture("The file did not arrive.", "Choose it again.") from error
    shutil.rmtree(file.parent, ignore_errors=True)
    return data[:-SALT]
