"""What one visitor may ask for: generous on one's own machine, modest on a public page.

INPAINT_PUBLIC=1 (or SPACE_ID, as on a Hugging Face Space) turns the public limits on; each can be set by its own
variable, e.g. INPAINT_MAX_STEPS=40.  INPAINT_MODELS=sd15,sd2 names what is offered beside the page's own model; a
public page offers nothing but the built-in one unless it is told to, since loading another takes gigabytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from inpaint.errors import InvalidRequest, UnreadablePicture
from inpaint.files.reading import FORMATS

from .jobs.current_model import LISTED
from .words.say import say

if TYPE_CHECKING:
    from inpaint import Request

PUBLIC = {
    "megapixels": 12,
    "megabytes": 25,
    "steps": 50,
    "count": 2,
    "queue": 20,
    "batch": 8,
    "size": 768,
    "waiting": 10,
    "session_megabytes": 150,
    "disk_megabytes": 4000,
    "sessions": 60,
    "models": ("builtin",),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds; `public` also switches off local paths, custom models and GPS in saved files."""

    public: bool = False
    megapixels: int = 60
    megabytes: int = 200
    steps: int = 150
    count: int = 8
    queue: int = 100
    waiting: int = 100  # of one address, in that queue
    batch: int = 200
    size: int = 2048
    session_minutes: int = 120
    session_megabytes: int = 1500
    disk_megabytes: int = 40_000
    sessions: int = 500
    models: tuple[str, ...] = LISTED

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Limits:
        """The limits that the environment variables ask for."""
        public = environment.get("INPAINT_PUBLIC", "") == "1" or bool(environment.get("SPACE_ID"))
        values = {"public": public, **(PUBLIC if public else {})}
        named = environment.get("INPAINT_MODELS", "")
        if named:
            values["models"] = tuple(name.strip() for name in named.split(",") if name.strip())
        for field in fields(cls):
            text = environment.get(f"INPAINT_MAX_{field.name.upper()}", "")
            if text.isdecimal() and type(field.default) is int:
                values[field.name] = int(text)
        return cls(**values)

    def check(self, settings: Mapping[str, object], language: str = "en") -> None:
        """Raises InvalidRequest for the first setting beyond a limit."""
        for name in ("steps", "count", "size", "width", "height"):
            limit = getattr(self, name if name in ("steps", "count") else "size")
            value = settings.get(name) or 0
            if isinstance(value, (int, float)) and limit < value < 10**9:  # beyond, the request refuses
                raise InvalidRequest(name, say("over_limit", language, name=name, value=int(value), limit=limit))

    def check_pixels(self, width: int, height: int, language: str = "en") -> None:
        """Raises UnreadablePicture for more pixels than this page takes."""
        megapixels = width * height / 1e6
        if megapixels > self.megapixels:
            raise UnreadablePicture(say("too_many_pixels", language, mp=megapixels, limit=self.megapixels))

    def check_file(self, source: Any, language: str = "en") -> None:
        """The same for a path or bytes, by what its header says: nothing is decoded for a file that is too large."""
        size = 0, 0
        with (
            suppress(Exception),
            Image.open(  # what is no picture is told when it is opened
                BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS
            ) as image,
        ):
            size = image.size
        self.check_pixels(*size, language)

    def check_canvas(self, request: Any, language: str = "en") -> None:
        """The same for the picture as the request expands it."""
        if request.expand and request.picture is not None:
            from inpaint.pixels.expand import sides

            left, top, right, bottom = sides(request.expand, request.picture.size)
            width, height = request.picture.size
            self.check_pixels(width + left + right, height + top + bottom, language)

    def request(self, picture: Path, mask: Path | None, **settings: Any) -> Request:
        """The request for two files, opened, within these limits; of files that are too large nothing is decoded."""
        from inpaint import Picture, Request

        for path in filter(None, (picture, mask)):
            self.check_file(path)
        opened = Picture.open(picture)
        self.check_pixels(*opened.size)
        request = Request(picture=opened, mask=mask, **settings)
        self.check_canvas(request)
        return request
