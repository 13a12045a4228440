"""Find the thing that a person points at, draws over or circles, and return its outline as a mask."""

from .search import found
from .selecting import Finder, beyond, select
from .source import Source

__all__ = ["Finder", "Source", "beyond", "found", "select"]
