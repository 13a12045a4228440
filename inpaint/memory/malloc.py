"""Keep freed memory for the next pass while a picture is made, and return it when it is done (glibc).

By itself the allocator gives each large piece back as soon as it is free, and for the next layer the system makes new
pages, one by one and full of zeros: at Stable Diffusion's size a twelfth of a pass's time on a CPU (bench/README.md).
Where there is no glibc (Windows, macOS, Alpine) nothing happens.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8  # of mallopt(3)
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
    """Return the C library on Linux, elsewhere None: Windows has no nameless library, macOS has other functions."""
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
