"""Weights that are mapped from a file, given back to the system while another network works.

They come back from the disk's cache when they are touched again.  For memory of another kind this does nothing.
"""

from __future__ import annotations

import ctypes
import mmap
from functools import cache

from torch import nn

PAGEOUT = 21  # madvise(2), Linux 5.4: clean pages of a file are dropped, nothing is ever lost


@cache
def _libc():
    """The C library, where it is one that knows both calls."""
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "madvise") and hasattr(libc, "malloc_trim") else None


def rest(network: nn.Module) -> None:
    """This network's mapped weights need not stay in memory, nor what the allocator only keeps for later."""
    libc, page = _libc(), mmap.PAGESIZE
    if libc is None:
        return
    for weight in network.parameters():
        storage = weight.untyped_storage()
        start = -(-storage.data_ptr() // page) * page  # whole pages only: the edges belong to neighbours too
        length = (storage.data_ptr() + storage.nbytes()) // page * page - start
        if length > 0:
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), PAGEOUT)
    trim()


def trim() -> None:
    """What the allocator only keeps for later goes back to the system, such as pieces of a model that has gone."""
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)
