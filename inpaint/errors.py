"""What can go wrong, and what to do about it.

InpaintError                    every sentence below is fit to be shown to a person
├── InvalidRequest              a field of the request cannot be used; .field names it
├── UnreadablePicture           a file or picture that cannot be opened safely
├── ModelError                  a model cannot be found, read or used
│   └── ModelUnavailable        … because it is not on this machine and cannot be fetched
└── OutOfMemory                 nothing was left to give up
"""

from __future__ import annotations


class InpaintError(Exception):
    """One sentence that says what is wrong, one that says what to do: `str(e)` is both."""

    def __init__(self, problem: str, advice: str = ""):
        self.problem, self.advice = problem, advice
        super().__init__(f"{problem} {advice}".strip())

    def __reduce__(self):
        """Cross a process boundary whole: pickle would give back `args`, which is the finished sentence."""
        return type(self), (self.problem, self.advice)


class InvalidRequest(InpaintError):
    """The request cannot be carried out as asked; `field` is the one to change."""

    def __init__(self, field: str, problem: str, advice: str = ""):
        self.field = field
        super().__init__(problem, advice)

    def __reduce__(self):
        return type(self), (self.field, self.problem, self.advice)


class UnreadablePicture(InpaintError):
    """The picture is broken, hostile, too large or no picture at all."""


class ModelError(InpaintError):
    """The model cannot be used as asked."""


class ModelUnavailable(ModelError):
    """The model is not on this machine and cannot be fetched now."""


class OutOfMemory(InpaintError):
    """The picture is too much for this machine, even in the most frugal way."""
