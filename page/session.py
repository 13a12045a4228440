"""Keep each visitor's state: pictures, results, the steps of the last run, files, and running work."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from time import monotonic
from typing import Any

import gradio as gr

from inpaint import InvalidRequest, Picture
from inpaint.memory import malloc

from .jobs.events import Preview
from .jobs.job_queue import CancelToken
from .storage import files_folder, new_folder
from .words.say import say

NETWORK_BITS = 64  # of an IPv6 address: a home or a hired machine gets such a network, or a larger one
DELETED = 5  # results that can be brought back
RESTING = 300  # seconds without a request after which a visitor may be dropped to make room for another


@dataclass(slots=True)
class Chosen:
    """One picture to choose from: image `index` of a result."""

    result: Any
    index: int
    run: int = 0  # which of the visitor's runs it comes from
    root: int = 0  # which of the opened photos it was made from
    starred: bool = False
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def image(self):
        return self.result.images[self.index]


@dataclass(slots=True, eq=False)
class Session:
    """One visitor.  `pictures[at]` is the current picture; the later ones can be restored with `travel`."""

    pictures: list[Picture] = field(default_factory=list)
    at: int = -1
    name: str = "picture"
    results: list[Chosen] = field(default_factory=list)  # of all runs, oldest first
    deleted: list[tuple[int, Chosen]] = field(default_factory=list)  # results, and their places; the last one last
    roots: list[int] = field(default_factory=list)  # for each of `pictures`, the number of the photo it began as
    runs: int = 0
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))  # by which the same tab, reloaded, is known
    film: list[Preview] = field(default_factory=list)  # every step of the last run
    asked: Any = None  # the request of the last run
    language: str = "en"
    address: str = ""  # where this visitor's requests come from
    source: Any = None  # the current picture, prepared for outlining things in it
    folder: Path | None = None
    seen: float = field(default_factory=monotonic)
    away: float | None = None  # since when no tab is connected; None while one is, or if that is unknown
    _tokens: list[tuple[str, CancelToken]] = field(default_factory=list)
    _in_use: set[Path] = field(default_factory=set)

    @property
    def picture(self) -> Picture | None:
        return self.pictures[self.at] if self.pictures else None

    def put(self, picture: Picture, megabytes: int, opened: bool = True) -> None:
        """Add a picture after the current one; drop later ones, and the oldest beyond the budget.

        One that was not `opened` was made from the current one, and shares its results.
        """
        root = max([-1, *self.roots]) + 1 if opened or not self.pictures else self.root
        self.pictures, self.roots = [*self.pictures[: self.at + 1], picture], [*self.roots[: self.at + 1], root]
        while len(self.pictures) > 2 and sum(megabytes_of(p) for p in self.pictures) > megabytes:
            self.pictures.pop(1)  # never the original
            self.roots.pop(1)
        self.at = len(self.pictures) - 1
        self.film = []

    @property
    def root(self) -> int:
        """Return the number of the opened photo that the current picture began as."""
        return self.roots[self.at] if self.roots else 0

    @property
    def strip(self) -> list[Chosen]:
        """Return the results that belong to the photo being worked on, oldest first."""
        return [chosen for chosen in self.results if chosen.root == self.root]

    def add(self, results: list[Any], megabytes: int) -> tuple[list[Chosen], list[str]]:
        """Append a run's results; return them, and the ids of older ones that had to go.

        Beyond the budget the oldest go first, those of other photos before them, starred ones last.
        """
        self.runs += 1
        new = [Chosen(result, k, self.runs, self.root) for result in results for k in range(len(result.images))]
        self.results += new
        gone: list[str] = []
        while self.deleted and self._results_megabytes() > megabytes:
            self.deleted.pop(0)
        for one in sorted(self.results, key=lambda one: (one.starred, one.root == self.root)):
            if self._results_megabytes() <= megabytes or one in new:
                break
            self.results.remove(one)
            gone.append(one.id)
        return new, gone

    def delete(self, chosen: Chosen) -> None:
        """Take a result out of the strip; the last ones deleted can be brought back."""
        self.deleted = [*self.deleted[1 - DELETED :], (self.results.index(chosen), chosen)]
        self.results.remove(chosen)

    def undelete(self, id: Any) -> Chosen | None:
        """Put a deleted result back in its place; return it, or None if it is gone for good."""
        found = next((one for one in self.deleted if one[1].id == id), None)
        if found is None:
            return None
        self.deleted.remove(found)
        self.results.insert(found[0], found[1])
        return found[1]

    def _results_megabytes(self) -> float:
        kept = [*self.results, *(chosen for _, chosen in self.deleted)]
        return sum(megabytes_of_image(chosen.image) for chosen in kept)

    def travel(self, by: int) -> bool:
        """Move back or forward among the pictures; return False if there is none that way."""
        if not 0 <= self.at + by < len(self.pictures):
            return False
        self.at += by
        self.film = []
        return True

    @contextmanager
    def running(self, kind: str) -> Iterator[CancelToken]:
        """Mark the visitor as busy inside the block: `cancel(kind)` stops the work; the session does not expire."""
        entry = kind, CancelToken()
        self._tokens.append(entry)
        try:
            yield entry[1]
        finally:
            self._tokens.remove(entry)
            self.seen = monotonic()

    @property
    def working(self) -> bool:
        """Return whether any of this visitor's work is running or queued."""
        return bool(self._tokens)

    def cancel(self, kind: str | None = None) -> None:
        """Stop all of the visitor's work, or only that of this kind."""
        for own_kind, token in list(self._tokens):
            if kind in (None, own_kind):
                token.cancel()

    @contextmanager
    def new_file(self, kind: str, name: str) -> Iterator[Path]:
        """Return a path with this name in a new folder; once written, the visitor can download the file.

        When the block ends, earlier files of the same kind are removed; files of other kinds stay.
        """
        if self.folder is None:
            self.folder = new_folder(files_folder() / "sessions" / secrets.token_urlsafe(24))
        folder = new_folder(self.folder / f"{kind}-{secrets.token_hex(8)}")
        self._in_use.add(folder)
        try:
            yield folder / Path(name).name
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            self._in_use.discard(folder)
        for other in self.folder.glob(f"{kind}-*"):
            if other != folder and other not in self._in_use:
                shutil.rmtree(other, ignore_errors=True)

    def close(self) -> None:
        """Stop everything and drop pictures and files."""
        self.cancel()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.pictures, self.roots, self.at, self.results, self.film = [], [], -1, [], []
        self.source, self.deleted = None, []


class Sessions:
    """All visitors, by Gradio's session hash; idle ones are forgotten after a while.

    minutes  without a request after which a visitor is forgotten, unless work is running
    away     seconds after which a visitor whose tab is disconnected is forgotten; not at once, since phones sleep and
             networks change
    most     how many visitors may hold pictures at a time
    share    how many of these may come from one address
    """

    def __init__(self, minutes: float, most: int = 500, share: int = 500, away: float = 600):
        self.minutes, self.most, self.share, self.away = minutes, most, share, away
        self.all: dict[str, Session] = {}
        self.lock = threading.Lock()

    def of(self, request) -> Session:
        """Return the session of a request, a new one if needed; forget expired ones."""
        key = getattr(request, "session_hash", None) or secrets.token_hex(8)
        with self.lock:
            session = self.all.setdefault(key, Session())
            session.seen, session.away = monotonic(), None
            session.address = address_of(request) or session.address
        self.sweep(session)
        return session

    def sweep(self, keep: Session | None = None) -> None:
        """Forget every expired visitor, except `keep`."""
        now = monotonic()
        with self.lock:
            crowded = len(self.all) > 20 * self.most  # somebody invents sessions: those without pictures are dropped
            gone = [
                (key, session)
                for key, session in self.all.items()
                if session is not keep and self._expired(session, now, crowded)
            ]
            for key, _ in gone:
                del self.all[key]
        _close(session for _, session in gone)

    def _expired(self, session: Session, now: float, crowded: bool) -> bool:
        if session.working:  # if the tab is closed, its own connection stops the job
            return False
        if session.away is not None and now - session.away >= self.away:
            return True
        return now - session.seen > 60 * self.minutes or (crowded and not session.pictures)

    def check_room(self, session: Session) -> None:
        """Make room for a picture in memory; raise InvalidRequest if there is none.

        If the most visitors allowed hold pictures, the one who has been idle longest is dropped, if that is at least
        some minutes.  One address cannot hold more than its share.
        """
        with self.lock:
            others = [s for s in self.all.values() if s.pictures and s is not session]
            if session.address and sum(s.address == session.address for s in others) >= self.share:
                others = [s for s in others if s.address == session.address]
            elif len(others) < self.most:
                return
            longest = min((s for s in others if _resting(s)), key=lambda s: (s.away is None, s.seen), default=None)
            if longest is not None:
                self.all = {key: s for key, s in self.all.items() if s is not longest}
        if longest is None:
            raise InvalidRequest("picture", say("too_many", session.language))
        _close([longest])

    def by_key(self, key: Any) -> Session | None:
        """Return the session with this key, which only its own tab knows."""
        if not isinstance(key, str) or not key.isascii():
            return None
        with self.lock:
            return next((s for s in self.all.values() if secrets.compare_digest(s.key, key)), None)

    def connected(self, key: str) -> None:
        """Record that the visitor's tab is connected, perhaps again."""
        session = self.all.get(key)
        if session:
            session.away = None

    def disconnected(self, request: gr.Request) -> None:
        """Record that the visitor's tab is closed or disconnected; forget the visitor some time later."""
        session = self.all.get(getattr(request, "session_hash", None) or "")
        if session:
            session.away = monotonic()
            timer = threading.Timer(self.away + 0.1, self.sweep)
            timer.daemon = True
            timer.start()

    def forget(self, key: str) -> None:
        """Forget a visitor at once, and stop all work."""
        with self.lock:
            session = self.all.pop(key, None)
        _close([session] if session else [])


def _close(sessions: Iterable[Session]) -> None:
    """Close sessions, and return their memory to the system: otherwise it would be returned after the next run."""
    for session in (closed := list(sessions)):
        session.close()
    if closed:
        malloc.trim()


def _resting(session: Session) -> bool:
    """Return whether a visitor may be dropped to make room for another."""
    return not session.working and (session.away is not None or monotonic() - session.seen > RESTING)


def address_of(request) -> str:
    """Return the client address of a request, "" if it is unknown.

    Behind a trusted proxy (FORWARDED_ALLOW_IPS) uvicorn has already put in the address that the proxy reports.  Of an
    IPv6 address only the network counts: every client has as many addresses there as it likes.
    """
    host = getattr(getattr(request, "client", None), "host", None) or ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv4Address):
        return host
    mapped = address.ipv4_mapped
    return str(mapped or ip_network((int(address), NETWORK_BITS), strict=False))


def megabytes_of_image(image: Any) -> float:
    """Return a Pillow image's memory in megabytes."""
    return image.width * image.height * len(image.getbands()) / 2**20


def megabytes_of(picture: Picture) -> float:
    """Return the picture's memory in megabytes."""
    channels = 3 if picture.alpha is None else 4
    deep = 0 if picture.samples is None else picture.samples.nbytes
    return (picture.size[0] * picture.size[1] * channels + deep) / 2**20
