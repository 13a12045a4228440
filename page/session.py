"""What the page remembers of one visitor: pictures, results, the last run's film.  Gone when the tab is closed."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from typing import Any

import gradio as gr

from inpaint import InpaintError, InvalidRequest, Picture

from .words.say import say


@dataclass(slots=True)
class Chosen:
    """One picture to choose: image `index` of a result."""

    result: Any
    index: int
    caption: str = ""

    @property
    def image(self):
        return self.result.images[self.index]


@dataclass(slots=True, eq=False)
class Session:
    """One visitor.  `pictures[at]` is the one on the table; later ones can be gone forward to."""

    pictures: list[Picture] = field(default_factory=list)
    at: int = -1
    name: str = "picture"
    pending: list[Chosen] = field(default_factory=list)
    film: list[Any] = field(default_factory=list)  # studio.Shown, every step of the last run
    asked: Any = None  # the request of the last run
    task: Any = None
    language: str = "en"
    address: str = ""  # from where this visitor asks
    folder: Path | None = None
    seen: float = field(default_factory=monotonic)

    @property
    def picture(self) -> Picture | None:
        return self.pictures[self.at] if self.pictures else None

    def put(self, picture: Picture, megabytes: int) -> None:
        """The next picture on the table; what could be gone forward to is dropped, and the oldest beyond a budget."""
        self.pictures = [*self.pictures[: self.at + 1], picture]
        while len(self.pictures) > 2 and sum(megabytes_of(p) for p in self.pictures) > megabytes:
            self.pictures.pop(1)  # never the original
        self.at = len(self.pictures) - 1
        self.clear()

    def clear(self) -> None:
        self.pending, self.film = [], []

    def travel(self, by: int) -> bool:
        """Back or forward among the pictures."""
        if not 0 <= self.at + by < len(self.pictures):
            return False
        self.at += by
        self.clear()
        return True

    def file(self, name: str) -> Path:
        """A place for a file that only this session knows of."""
        if self.folder is None:
            self.folder = made(files_folder() / "sessions" / secrets.token_urlsafe(24))
        for old in self.folder.iterdir():
            if old.is_dir():  # a batch's
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.unlink(missing_ok=True)
        return self.folder / Path(name).name

    def close(self) -> None:
        if self.task:
            self.task.stop.set()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.pictures, self.at = [], -1
        self.clear()


class Sessions:
    """All visitors, by Gradio's session hash; idle ones are forgotten after a while."""

    def __init__(self, minutes: float, most: int = 500):
        self.minutes, self.most, self.all, self.lock = minutes, most, {}, threading.Lock()

    def of(self, request) -> Session:
        key = getattr(request, "session_hash", None) or secrets.token_hex(8)
        with self.lock:
            crowded = len(self.all) > 20 * self.most  # somebody makes up sessions: those that hold nothing go
            idle = [
                k
                for k, s in self.all.items()
                if k != key
                and (monotonic() - s.seen > 60 * self.minutes or (crowded and not s.pictures and not s.task))
            ]
            gone = [self.all.pop(k) for k in idle]
            session = self.all.setdefault(key, Session())
            session.seen, session.address = monotonic(), address_of(request) or session.address
        for other in gone:
            other.close()
        return session

    def check_room(self, session: Session) -> None:
        """Raises InvalidRequest if as many others hold pictures in memory as may."""
        with self.lock:
            holding = sum(bool(other.pictures) for other in self.all.values() if other is not session)
        if holding >= self.most:
            raise InvalidRequest("picture", say("too_many", session.language))

    def let_go(self) -> None:
        """The model is about to go: films keep pictures of their steps, not the steps, which hold on to it."""
        with self.lock:
            everyone = list(self.all.values())
        for session in everyone:
            session.film = [shown.still() for shown in session.film]

    def forget(self, request: gr.Request) -> None:
        """The tab is closed: stop its job, drop its pictures and files."""
        with self.lock:
            session = self.all.pop(getattr(request, "session_hash", None), None)
        if session:
            session.close()


def address_of(request) -> str:
    """From where a request comes, "" if that is not known; behind a proxy, who asked the proxy."""
    host = getattr(getattr(request, "client", None), "host", None) or ""
    passed_on = (getattr(request, "headers", None) or {}).get("x-forwarded-for", "")
    with suppress(ValueError):  # a name
        if passed_on and ip_address(host).is_private:
            return passed_on.rpartition(",")[2].strip()  # what the proxy itself has added
    return host


def made(folder: Path) -> Path:
    """The folder, new and empty; InpaintError where there is no room for it."""
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InpaintError(
            "Nothing can be stored here: the disk is full or closed to writing.", "Free some space."
        ) from error
    return folder


def megabytes_of(picture: Picture) -> float:
    return picture.size[0] * picture.size[1] * 3 / 2**20


def files_folder() -> Path:
    """Where Gradio keeps uploads and serves files from."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio").resolve()
