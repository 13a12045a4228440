"""Page out weights that are mapped from a file while another network runs (Linux).

They are read again, mostly from the disk's cache, when they are next used.  For other memory this does nothing.
"""

from __future__ import annotations

import ctypes
import mmap
from functools import cache
from pathlib import Path

from torch import nn

from .malloc import libc, trim

PAGEOUT = 21  # madvise(2), Linux 5.4: clean pages of a file are dropped, changed ones are kept


@cache
def _libc() -> ctypes.CDLL | None:
    """Return the C library if it has madvise."""
    library = libc()
    return library if hasattr(library, "madvise") else None


def page_out(network: nn.Module) -> None:
    """Page out this network's mapped weights, and return the allocator's free memory to the system."""
    for weight in network.parameters():
        storage = weight.untyped_storage()
        _advise(storage.data_ptr(), storage.data_ptr() + storage.nbytes())
    trim()


def page_out_file(path: Path) -> None:
    """Page out everything that this process has mapped from the file."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in maps:
        span, *_, name = line.split(maxsplit=5)
        if name == str(path.resolve()):
            _advise(*(int(end, 16) for end in span.split("-")))
    trim()


def _advise(start: int, end: int) -> None:
    """Page out the whole pages between two addresses; pages at the edges may hold other data too."""
    page, library = mmap.PAGESIZE, _libc()
    start, end = -(-start // page) * page, end // page * page
    if library is not None and end > start:
        library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), PAGEOUT)
