"""Limit what one visitor may ask for: generously on one's own machine, modestly on a public page.

A page is public on a Hugging Face Space and whenever other machines can reach it; INPAINT_PUBLIC=1 or 0 overrules
that.  Each limit has its own variable, e.g. INPAINT_MAX_STEPS=40.  INPAINT_MODELS=sd15,sd2 names models that are
offered beside the page's own and the built-in one; a public page offers no others, since loading one takes gigabytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inpaint.errors import InvalidRequest, UnreadablePicture
from inpaint.files.reading import size_of

from .jobs.work import most_steps_of, steps_of
from .words.say import say

if TYPE_CHECKING:
    from inpaint import Request

# A copy of the families' names, so that torch need not be imported yet
LISTED = ("builtin", "sd15", "sd2", "sdxl", "sd35", "flux", "schnell", "toy")

PUBLIC = {
    "megapixels": 12,
    "megabytes": 25,
    "steps": 50,
    "count": 2,
    "work": 400,
    "queue": 20,
    "batch": 8,
    "size": 768,
    "waiting": 10,
    "session_megabytes": 150,
    "disk_megabytes": 4000,
    "sessions": 60,
    "sessions_each": 20,
    "models": ("builtin",),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The upper bounds of one page.

    public  also switch off custom models and GPS in saved files, and store the original in them only if asked to
    """

    public: bool = False
    megapixels: int = 60
    megabytes: int = 200  # of one uploaded file
    steps: int = 150
    count: int = 8
    work: int = 1_000_000  # denoising steps of one job: of all variations, methods, islands and tiles
    queue: int = 100
    waiting: int = 100  # jobs of one address in that queue
    batch: int = 200
    size: int = 2048
    session_minutes: int = 120
    session_megabytes: int = 1500
    disk_megabytes: int = 40_000
    sessions: int = 500  # visitors with a picture
    sessions_each: int = 500  # the same, from one address
    away_seconds: int = 600  # until a visitor whose tab is closed or disconnected is forgotten
    models: tuple[str, ...] = LISTED

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, *, exposed: bool = False) -> Limits:
        """Return the limits set by environment variables; `exposed` says that other machines can reach the page."""
        public = is_public(environment, exposed)
        values: dict[str, Any] = {"public": public, **(PUBLIC if public else {})}
        named = [name.strip() for name in environment.get("INPAINT_MODELS", "").split(",") if name.strip()]
        if named:
            values["models"] = tuple(dict.fromkeys(["builtin", *named]))
        for field in fields(cls):
            text = environment.get(f"INPAINT_MAX_{field.name.upper()}", "")
            if text.isdecimal() and type(field.default) is int:
                values[field.name] = int(text)
        return cls(**values)

    @property
    def metadata(self) -> str:
        """Return how much metadata a downloaded result holds unless the visitor chooses otherwise.

        "full" stores the original's pixels, which a stranger may have wanted to remove.
        """
        return "settings" if self.public else "full"

    def check(self, settings: Mapping[str, object], language: str = "en") -> None:
        """Raise InvalidRequest for the first setting beyond a limit."""
        for name in ("steps", "count", "size", "width", "height"):
            limit = getattr(self, name if name in ("steps", "count") else "size")
            value = settings.get(name) or 0
            if isinstance(value, (int, float)) and limit < value < 10**9:  # Request itself refuses larger ones
                raise InvalidRequest(name, say("over_limit", language, name=name, value=int(value), limit=limit))

    def check_model(self, name: str, offered: Sequence[str], language: str = "en") -> None:
        """Raise InvalidRequest unless the model is offered or, on one's own page, may come from the Hub.

        Paths work only on the command line: over HTTP they would reveal which files this machine has.
        """
        if name in offered:
            return
        if self.public:
            raise InvalidRequest("model", say("not_here", language))
        from inpaint.models.hub import is_id  # imports torch

        if not is_id(name) or Path(name).exists():
            raise InvalidRequest("model", say("model_by_path", language))

    def check_jobs(self, requests: Sequence[Request], language: str = "en") -> None:
        """Raise InpaintError if the requests of one job are larger, or more work, than this page accepts."""
        for request in requests:
            self._check_canvas(request, language)
        if sum(most_steps_of(request) for request in requests) > self.work:  # only then count islands and tiles
            work = sum(steps_of(request) for request in requests)
            if work > self.work:
                raise InvalidRequest("steps", say("too_much_work", language, value=work, limit=self.work))

    def check_pixels(self, width: int, height: int, language: str = "en") -> None:
        """Raise UnreadablePicture for more pixels than this page accepts."""
        megapixels = width * height / 1e6
        if megapixels > self.megapixels:
            raise UnreadablePicture(say("too_many_pixels", language, mp=megapixels, limit=self.megapixels))

    def check_file(self, source: Any, language: str = "en") -> None:
        """Raise UnreadablePicture if the header of this path or bytes states too many pixels; decode nothing."""
        size = 0, 0
        with suppress(UnreadablePicture):  # opening the file raises the error for other files
            size = size_of(source)
        self.check_pixels(*size, language)

    def _check_canvas(self, request: Request, language: str) -> None:
        """Raise UnreadablePicture if the picture, expanded as requested, has too many pixels."""
        if request.expand and request.picture is not None:
            from inpaint.pixels.expand import sides

            left, top, right, bottom = sides(request.expand, request.picture.size)
            width, height = request.picture.size
            self.check_pixels(width + left + right, height + top + bottom, language)

    def request(self, picture: Path, mask: Path | None, **settings: Any) -> Request:
        """Open two files as a request within these limits; files that are too large are not decoded."""
        from inpaint import Picture, Request

        for path in filter(None, (picture, mask)):
            self.check_file(path)
        opened = Picture.open(picture)
        self.check_pixels(*opened.size)
        request = Request(picture=opened, mask=mask, **settings)
        self.check_jobs([request])
        return request


def is_public(environment: Mapping[str, str], exposed: bool) -> bool:
    """Return INPAINT_PUBLIC (1 or 0); if unset, whether this is a Space or other machines can reach it."""
    public = environment.get("INPAINT_PUBLIC", "")
    return public == "1" if public in ("0", "1") else exposed or bool(environment.get("SPACE_ID"))
