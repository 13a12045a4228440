"""Handle actions on results: choose, keep, discard, go back, download, show the steps."""

from __future__ import annotations

import logging
from typing import Any

import gradio as gr
from PIL import Image

from inpaint import InpaintError, InvalidRequest, Picture
from inpaint.files import writing
from inpaint.files.metadata import ENCODING

from .. import images
from ..jobs.events import Preview
from ..jobs.kept_steps import SIDE
from ..session import Session
from ..words.core import in_words, translated
from ..words.say import language, say
from . import messages

log = logging.getLogger("inpaint.page")
FORMATS = {"png": ".png", "jpg": ".jpg", "webp": ".webp"}
OWN = {  # what a photo's format is saved as; others, which may hold anything, as PNG
    **dict.fromkeys(("JPEG", "MPO", "AVIF", "HEIF", "HEIC"), ".jpg"),
    "WEBP": ".webp",
    "TIFF": ".tif",
}


class Results:
    """The handlers of the editor's events "act", "copy" and "scrub"; each returns a message."""

    def __init__(self, page):
        self.page = page

    def act(self, event: gr.EventData, request: gr.Request):
        """Carry out the action; if it is impossible, return a message that says why."""
        session = self.page.sessions.of(request)
        session.language = language(request)
        what = event._data or {}
        action = {
            "keep": self.keep,
            "discard": self.discard,
            "choose": self.choose,
            "back": self.back,
            "forward": self.forward,
            "save": self.save,
            "clip": self.clip,
            "film": self.save_film,
        }.get(str(what.get("do")))
        try:
            return action(session, what) if action else gr.skip()
        except InpaintError as error:
            return messages.notice(in_words(error, session.language), bad=True)
        except Exception as error:
            log.exception("an action failed")
            return messages.notice(say("unexpected", session.language, error=type(error).__name__), bad=True)

    def finished(self, session: Session) -> dict[str, Any]:
        """Return the message that shows a run's results."""
        first = session.pending[0].result
        methods = len({chosen.result.report.get("method") for chosen in session.pending}) > 1
        items: list[dict[str, Any]] = []
        for chosen in session.pending:
            seed = say("seed_was", session.language, n=chosen.result.seeds[chosen.index])
            method = chosen.result.report.get("method", "")
            chosen.caption = say(f"method_{method}", session.language) if methods else seed
            label = chosen.caption if methods else str(len(items) + 1)
            items.append(
                {
                    "src": images.shown(chosen.image),
                    "caption": chosen.caption,
                    "label": label,
                    "report": report_line(chosen, session.language),
                    "details": report_details(chosen, session.language),
                }
            )
        film = shown(session)
        branches = (
            bool(film)
            and all(preview.step is not None for preview in film)
            and len(first.images) == 1
            and not methods
        )
        return messages.result(
            items,
            frames=len(film),
            branches=branches,
            back=session.at > 0,
            forward=session.at + 1 < len(session.pictures),
        )

    def chosen(self, session: Session, what: dict):
        index = what.get("index", 0)
        if not session.pending or not isinstance(index, int) or not 0 <= index < len(session.pending):
            raise InvalidRequest("picture", say("no_result", session.language))
        return session.pending[index]

    def choose(self, session: Session, what: dict):
        self.chosen(session, what)
        return gr.skip()

    def keep(self, session: Session, what: dict):
        """Make the chosen result the current picture."""
        chosen = self.chosen(session, what)
        session.put(Picture.open(chosen.image), self.page.limits.session_megabytes)
        more = {"say": say("erased", session.language)} if what.get("erased") else {}
        return self.page.opening.picture(session, keep_mask=bool(what.get("keep_mask")), **more)

    def discard(self, session: Session, what: dict):
        session.clear()
        return messages.paint(back=session.at > 0, forward=session.at + 1 < len(session.pictures))

    def back(self, session: Session, what: dict):
        return self.page.opening.picture(session, keep_mask=True) if session.travel(-1) else gr.skip()

    def forward(self, session: Session, what: dict):
        return self.page.opening.picture(session, keep_mask=True) if session.travel(1) else gr.skip()

    def save(self, session: Session, what: dict):
        """Save the chosen result in full size, with the metadata that the visitor chose."""
        chosen = self.chosen(session, what)
        own = what.get("format") == "own"
        ending = own_ending(chosen.image) if own else FORMATS.get(str(what.get("format")), ".png")
        metadata = what.get("metadata")
        if metadata not in ("full", "settings", "none"):
            metadata = self.page.limits.metadata
        self.page.storage.check()
        with session.new_file("result", f"{session.name}-inpainted{ending}") as path:
            chosen.result.save(path, index=chosen.index, metadata=metadata, quality=None if own else 95)
        exact = ending in (".png", ".tif")
        return messages.file(path, say("saved_exact" if exact else "saved_lossy", session.language, name=path.name))

    def clip(self, session: Session, what: dict):
        """Hand the browser the chosen result as a PNG without metadata, to be copied."""
        chosen = self.chosen(session, what)
        self.page.storage.check()
        with session.new_file("clip", f"{session.name}.png") as path:
            chosen.result.save(path, index=chosen.index, metadata="none")
        return messages.clip(path)

    def save_film(self, session: Session, what: dict):
        """Save all steps as one animation."""
        from inpaint.files.film import save_film

        self.chosen(session, {})
        self.page.storage.check()
        frames = [preview.picture() for preview in shown(session)]
        frames.append(images.small(session.pending[0].image.convert("RGB"), SIDE))
        with session.new_file(
            "film", f"{session.name}-film.{'gif' if what.get('format') == 'gif' else 'webp'}"
        ) as path:
            save_film(path, frames)
        return messages.file(path)

    def copy(self, event: gr.EventData, request: gr.Request):
        """Send the browser a lossless copy of the current picture, which it can open again after a reload.

        If there is no room for the file, no copy is sent and no message is shown.
        """
        session = self.page.sessions.of(request)
        picture = session.picture
        try:
            self.page.storage.check()
            if picture is None:
                return gr.skip()
            with session.new_file("copy", f"{session.name}.png") as path:
                path.write_bytes(lossless(picture))
        except (InpaintError, OSError):
            return gr.skip()
        return messages.copy(path, (event._data or {}).get("of"))

    def scrub(self, event: gr.EventData, request: gr.Request):
        """Show the picture as it was after a step."""
        session, index = self.page.sessions.of(request), (event._data or {}).get("index")
        film = shown(session)
        if not isinstance(index, int) or not 0 <= index < len(film):
            return gr.skip()
        return messages.frame(index, images.data_url(film[index].data()))


def lossless(picture: Picture) -> bytes:
    """Return the picture as a PNG file, with its transparency and metadata."""
    image = picture.repainted(picture.rgb)
    info = {key: value for key, value in image.info.items() if isinstance(key, str)}
    return writing.png(image, picture.icc, picture.exif, None, info)


def own_ending(image: Image.Image) -> str:
    """Return the suffix of the format that the photo came in, or of the nearest one that can be written."""
    return OWN.get(image.info.get(ENCODING, {}).get("format"), ".png")


def shown(session: Session) -> list[Preview]:
    """Return the steps of the last run that have a picture."""
    return [preview for preview in session.film if preview.has_picture]


def report_line(chosen, words: str) -> str:
    """Say whether anything outside the mask changed, how long the run took, and what its notes are."""
    report, parts = chosen.result.report, []
    change = report.get("max_change_outside")
    if change is not None:
        parts.append(say("outside_same", words) if change == 0 else say("outside_changed", words, n=change))
    seconds = report.get("seconds") or {}
    if "total" in seconds:
        parts.append(say("took", words, x=float(seconds["total"])))
    return " · ".join([*parts, *(translated(note, words) for note in report.get("notes", ()))])


def report_details(chosen, words: str) -> list[str]:
    """Return the rest of the report as lines: seed, method, steps of this picture, seam."""
    report, lines = chosen.result.report, [say("seed_was", words, n=chosen.result.seeds[chosen.index])]
    if report.get("method") in ("base", "inpaint"):
        lines.append(say(f"method_{report['method']}", words))
    if report.get("steps"):
        lines.append(say("steps_were", words, n=report["steps"]))
    lines.append(say("size_was", words, size=" × ".join(map(str, chosen.image.size))))
    if report.get("seam_score") is not None:
        lines.append(say("seam", words, x=float(report["seam_score"])))
    return lines
