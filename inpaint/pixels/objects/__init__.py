"""Find the thing that a person points at, draws over or circles, and return its outline as a mask."""

from .selecting import beyond, select
from .source import Source

__all__ = ["Source", "beyond", "select"]
