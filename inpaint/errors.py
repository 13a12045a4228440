"""Define the exceptions: each says what went wrong and what to do about it.

InpaintError                    the base of all; its sentences may be shown to people
├── InvalidRequest              a field of the request cannot be used; .field names it
├── UnreadablePicture           a file or picture that cannot be opened safely
├── ModelError                  a model cannot be found, read or used
│   └── ModelUnavailable        … because it is not on this machine and cannot be fetched
└── OutOfMemory                 the picture needs more memory than there is
"""

from __future__ import annotations


class InpaintError(Exception):
    """The base of all errors: `problem` says what is wrong, `advice` what to do, and `str(error)` says both."""

    def __init__(self, problem: str, advice: str = ""):
        self.problem, self.advice = problem, advice
        super().__init__(f"{problem} {advice}".strip())

    def __reduce__(self):
        """Pickle the constructor's arguments; by default pickle would store `args`, the joined sentence."""
        return type(self), (self.problem, self.advice)


class InvalidRequest(InpaintError):
    """Raised for a request that cannot be carried out; `field` names the setting to change."""

    def __init__(self, field: str, problem: str, advice: str = ""):
        self.field = field
        super().__init__(problem, advice)

    def __reduce__(self):
        return type(self), (self.field, self.problem, self.advice)


class UnreadablePicture(InpaintError):
    """Raised for a picture that is broken, hostile, too large or no picture at all."""


class ModelError(InpaintError):
    """Raised for a model that cannot be used as asked."""


class ModelUnavailable(ModelError):
    """Raised for a model that is not on this machine and cannot be downloaded now."""


class OutOfMemory(InpaintError):
    """Raised when a picture needs more memory than this machine has, even with the leanest policy."""
