"""Weights that are mapped from a file, given back to the system while another network works.

They come back from the disk's cache when they are touched again.  For memory of another kind this does nothing.
"""

from __future__ import annotations

import ctypes
import mmap
from functools import cache
from pathlib import Path

from torch import nn

from .malloc import trim

PAGEOUT = 21  # madvise(2), Linux 5.4: clean pages of a file are dropped, nothing is ever lost


@cache
def _libc():
    """The C library, where it is one that knows the call."""
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "madvise") else None


def rest(network: nn.Module) -> None:
    """This network's mapped weights need not stay in memory, nor what the allocator only keeps for later."""
    for weight in network.parameters():
        storage = weight.untyped_storage()
        _leave(storage.data_ptr(), storage.data_ptr() + storage.nbytes())
    trim()


def rest_file(path: Path) -> None:
    """The same for all that is mapped of this file, whoever mapped it (Linux)."""
    try:
        maps = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return
    for line in maps:
        span, *_, name = line.split(maxsplit=5)
        if name == str(path.resolve()):
            _leave(*(int(end, 16) for end in span.split("-")))
    trim()


def _leave(start: int, end: int) -> None:
    """Whole pages only: the edges belong to neighbours too."""
    page, libc = mmap.PAGESIZE, _libc()
    start, end = -(-start // page) * page, end // page * page
    if libc is not None and end > start:
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), PAGEOUT)
