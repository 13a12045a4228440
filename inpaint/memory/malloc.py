"""Make glibc keep freed memory for the next pass while a picture is made, and return it afterwards.

By default the allocator returns each large block as soon as it is free, and for the next layer the system provides
new pages, filled with zeros one by one: at Stable Diffusion's size that takes a twelfth of a pass on a CPU
(bench/README.md).  Without glibc (Windows, macOS, Alpine) these functions do nothing.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8  # parameters of mallopt(3)
ENOUGH = 256 * 2**20  # bytes that may stay free in the process between two pictures


class Mallinfo2(ctypes.Structure):
    """The result of mallinfo(3); `fordblks` is the free memory."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def libc() -> ctypes.CDLL | None:
    """Return the C library on Linux; elsewhere None, since Windows and macOS have other functions."""
    if sys.platform != "linux":
        return None
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):
        return None


@cache
def _glibc() -> ctypes.CDLL | None:
    """Return the C library if it has these functions (glibc 2.33 and newer)."""
    library = libc()
    if library is None or not all(hasattr(library, name) for name in ("mallopt", "malloc_trim", "mallinfo2")):
        return None
    library.mallinfo2.restype = Mallinfo2
    return library


def keep() -> None:
    """Keep freed memory in this process until `trim`; threads that start later share one heap."""
    library = _glibc()
    if library is not None:
        for option, value in ((TRIM_THRESHOLD, 2**31 - 1), (MMAP_MAX, 0), (ARENA_MAX, 1)):
            library.mallopt(option, value)


def trim(more_than: int = 0) -> None:
    """Return free heap memory to the system if more than `more_than` bytes are free."""
    library = _glibc()
    if library is not None and library.mallinfo2().fordblks > more_than:
        library.malloc_trim(0)
