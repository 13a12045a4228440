"""Handle actions on results: choose, keep, discard, go back, download, show the steps."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import gradio as gr
from PIL import Image

from inpaint import InpaintError, InvalidRequest, Picture
from inpaint.files import writing
from inpaint.files.metadata import ENCODING

from .. import images
from ..jobs.events import Preview
from ..jobs.kept_steps import SIDE
from ..session import Chosen, Session
from ..words.core import in_words, translated
from ..words.say import language, say
from . import messages

log = logging.getLogger("inpaint.page")
THUMB = 128  # long side of a picture in the strip, pixels
FORMATS = {"png": ".png", "jpg": ".jpg", "webp": ".webp"}
OWN = {  # what a photo's format is saved as; others, which may hold anything, as PNG
    **dict.fromkeys(("JPEG", "MPO", "AVIF", "HEIF", "HEIC"), ".jpg"),
    "WEBP": ".webp",
    "TIFF": ".tif",
}


class Results:
    """The handlers of the editor's events "act", "copy", "scrub" and "detail"; each returns a message."""

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
            "undelete": self.undelete,
            "star": self.star,
            "recall": self.recall,
            "back": self.back,
            "forward": self.forward,
            "save": self.save,
            "clip": self.clip,
            "film": self.save_film,
        }.get(str(what.get("do")))
        try:
            return action(session, what) if action else gr.skip()
        except InpaintError as error:
            return messages.notice(in_words(error, session.language), bad=True, forgotten=session.picture is None)
        except Exception as error:
            log.exception("an action failed")
            return messages.notice(say("unexpected", session.language, error=type(error).__name__), bad=True)

    def finished(self, session: Session, new: list[Chosen], gone: list[str]) -> dict[str, Any]:
        """Return the message that adds a run's results to the strip; `gone` are older ones that left it."""
        film, methods = shown(session), len({chosen.result.report.get("method") for chosen in new}) > 1
        branches = bool(film) and all(preview.step is not None for preview in film) and len(new) == 1
        return messages.result(
            [self.item(session, chosen, whole=True, methods=methods) for chosen in new],
            run=session.runs,
            gone=gone,
            frames=len(film),
            branches=branches,
            **places(session),
            say=say("strip_full", session.language, n=len(gone)) if gone else "",
        )

    def item(self, session: Session, chosen: Chosen, whole: bool = False, methods: bool = False) -> dict[str, Any]:
        """Return a result as the strip shows it; with its picture only if it is shown `whole` at once.

        methods  whether its run used several, so that the strip names them
        """
        words, result = session.language, chosen.result
        method, seconds = result.report.get("method", ""), (result.report.get("seconds") or {}).get("total")
        method = say(f"method_{method}", words) if method in ("base", "inpaint") else ""
        seed = say("seed_was", words, n=result.seeds[chosen.index])
        took = say("took", words, x=float(seconds)) if seconds is not None else ""
        return {
            "id": chosen.id,
            "run": chosen.run,
            "src": images.shown(chosen.image) if whole else None,
            "thumb": images.encoded(small(chosen, THUMB)),
            "label": method if methods else took,
            "caption": " · ".join(filter(None, [result.request.prompt.strip()[:80], seed, method, took])),
            "size": list(chosen.image.size),
            "report": report_line(chosen, words),
            "details": report_details(chosen, words),
            "starred": chosen.starred,
        }

    def chosen(self, session: Session, what: dict) -> Chosen:
        """Return the result with the id that was sent; raise InvalidRequest if there is none."""
        found = next((one for one in session.results if one.id == what.get("id")), None)
        if found is None:
            raise InvalidRequest("picture", say("no_result", session.language))
        return found

    def choose(self, session: Session, what: dict):
        """Send the picture of a result of which the page has only the small one."""
        chosen = self.chosen(session, what)
        return messages.item(chosen.id, images.shown(chosen.image))

    def star(self, session: Session, what: dict):
        """Mark a result, or take the mark away; marked ones stay longest where room is short."""
        self.chosen(session, what).starred = bool(what.get("on"))
        return gr.skip()

    def recall(self, session: Session, what: dict):
        """Give a reloaded tab the results that it had; the key is that of its session before."""
        old = self.page.sessions.by_key(what.get("key"))
        if old is None or old is session:
            return messages.strip([])
        known = {chosen.id for chosen in session.results}
        taken = [replace(one, root=session.root) for one in old.strip if one.id not in known]
        session.results, session.runs = taken + session.results, max(old.runs, session.runs)
        return messages.strip([self.item(session, chosen) for chosen in taken])

    def keep(self, session: Session, what: dict):
        """Make the chosen result the current picture."""
        chosen = self.chosen(session, what)
        session.put(Picture.open(chosen.image), self.page.limits.session_megabytes, opened=False)
        more = {"say": say("erased", session.language)} if what.get("erased") else {}
        return self.page.opening.picture(session, keep_mask=bool(what.get("keep_mask")), **more)

    def discard(self, session: Session, what: dict):
        """Delete the chosen result; it can be brought back for a while."""
        chosen = self.chosen(session, what)
        session.delete(chosen)
        return messages.paint(**places(session), gone=[chosen.id], say=say("deleted", session.language))

    def undelete(self, session: Session, what: dict):
        """Bring a deleted result back to its place in the strip, and show it."""
        chosen = session.undelete(what.get("id"))
        if chosen is None or chosen not in session.strip:
            raise InvalidRequest("picture", say("no_result", session.language))
        return messages.restored(self.item(session, chosen, whole=True), session.strip.index(chosen))

    def back(self, session: Session, what: dict):
        return self.travelled(session, -1)

    def forward(self, session: Session, what: dict):
        return self.travelled(session, 1)

    def travelled(self, session: Session, by: int):
        """Show an earlier or later picture; if it began as another photo, with that photo's results."""
        root = session.root
        if not session.travel(by):
            return gr.skip()
        strip = None if session.root == root else [self.item(session, chosen) for chosen in session.strip]
        return self.page.opening.picture(session, keep_mask=True, strip=strip)

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

        chosen = self.chosen(session, what)
        self.page.storage.check()
        frames = [preview.picture() for preview in shown(session)]
        frames.append(small(chosen, SIDE))
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

    def detail(self, event: gr.EventData, request: gr.Request):
        """Send a part of the picture or of a result at its own resolution."""
        session, what = self.page.sessions.of(request), event._data or {}
        which, box = what.get("which"), what.get("box")
        if session.picture is None or not isinstance(box, list) or len(box) != 4:
            return gr.skip()
        try:
            if which == "result":
                image = self.chosen(session, what).image
                src = images.part(image, None, image.info.get("icc_profile"), box)
            else:
                src = images.part(session.picture.rgb, session.picture.alpha, session.picture.icc, box)
        except InpaintError:  # it is gone, or the box is none
            return gr.skip()
        return messages.detail(str(which), box, src)

    def scrub(self, event: gr.EventData, request: gr.Request):
        """Show the picture as it was after a step."""
        session, index = self.page.sessions.of(request), (event._data or {}).get("index")
        film = shown(session)
        if not isinstance(index, int) or not 0 <= index < len(film):
            return gr.skip()
        return messages.frame(index, images.data_url(film[index].data()))


def small(chosen: Chosen, side: int) -> Image.Image:
    """Return a small copy of a result, RGB, with its colours converted to sRGB."""
    return images.in_srgb(images.small(chosen.image.convert("RGB"), side), chosen.image.info.get("icc_profile"))


def lossless(picture: Picture) -> bytes:
    """Return the picture as a PNG file, with its transparency and metadata."""
    image = picture.repainted(picture.rgb)
    info = {key: value for key, value in image.info.items() if isinstance(key, str)}
    return writing.png(image, picture.icc, picture.exif, None, info)


def places(session: Session) -> dict[str, bool]:
    """Return whether there is an earlier picture to return to, and a later one."""
    return {"back": session.at > 0, "forward": session.at + 1 < len(session.pictures)}


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
