"""Memory that was freed: kept for the next pass while a picture is made, given back when it is done (glibc).

By itself the allocator gives each large piece back as soon as it is free, and for the next layer the system makes new
pages, one by one and full of zeros: at Stable Diffusion's size a twelfth of a pass's time on a CPU (bench/README.md).
"""

from __future__ import annotations

import ctypes
from functools import cache

TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8  # of mallopt(3)
ENOUGH = 256 * 2**20  # bytes that may lie about between two pictures


class Mallinfo2(ctypes.Structure):
    """mallinfo(3); `fordblks` is what is free."""

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


@cache
def libc():
    """The C library, where it is one that knows these calls (glibc 2.33 and newer)."""
    found = ctypes.CDLL(None)
    if not all(hasattr(found, name) for name in ("mallopt", "malloc_trim", "mallinfo2")):
        return None
    found.mallinfo2.restype = Mallinfo2
    return found


def keep() -> None:
    """From now on freed memory stays with this process until `trim`; threads that begin later share one heap."""
    if libc() is not None:
        for option, value in ((TRIM_THRESHOLD, 2**31 - 1), (MMAP_MAX, 0), (ARENA_MAX, 1)):
            libc().mallopt(option, value)


def trim(more_than: int = 0) -> None:
    """What is only kept goes back to the system, if it is more than so many bytes."""
    if libc() is not None and libc().mallinfo2().fordblks > more_than:
        libc().malloc_trim(0)
