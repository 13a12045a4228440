"""What one visitor may ask for: generous on one's own machine, modest on a public page.

INPAINT_PUBLIC=1 (or SPACE_ID, as on a Hugging Face Space) turns the public limits on; each can be set by its own
variable, e.g. INPAINT_MAX_STEPS=40.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

from inpaint.errors import InvalidRequest

from .words import say

PUBLIC = {"megapixels": 12, "megabytes": 25, "steps": 50, "count": 2, "queue": 20, "batch": 8, "size": 768}


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds; `public` also switches off local paths, custom models and GPS in saved files."""

    public: bool = False
    megapixels: int = 60
    megabytes: int = 200
    steps: int = 150
    count: int = 8
    queue: int = 100
    batch: int = 200
    size: int = 2048
    session_minutes: int = 120
    session_megabytes: int = 1500

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Limits:
        """The limits that the environment variables ask for."""
        public = environment.get("INPAINT_PUBLIC", "") == "1" or bool(environment.get("SPACE_ID"))
        values = {"public": public, **(PUBLIC if public else {})}
        for field in fields(cls):
            text = environment.get(f"INPAINT_MAX_{field.name.upper()}", "")
            if text.isdecimal():
                values[field.name] = int(text)
        return cls(**values)

    def check(self, settings: Mapping[str, object], language: str = "en") -> None:
        """Raises InvalidRequest for the first setting beyond a limit."""
        for name in ("steps", "count", "size", "width", "height"):
            limit = getattr(self, name if name in ("steps", "count") else "size")
            value = settings.get(name) or 0
            if isinstance(value, (int, float)) and limit < value < 10**9:  # beyond, the request refuses
                raise InvalidRequest(name, say("over_limit", language, name=name, value=int(value), limit=limit))
