"""Make our code see another operating system; other people's code sees the real one.

`become(name)` is called before anything of ours is imported.  What a file of `inpaint`, `page` or app.py then asks of
`os`, `sys`, `signal`, `ctypes` and /proc is answered as Windows, macOS or a bare Linux would:

    windows  no unnamed C library, no fork, no POSIX users, no SIGHUP; an open file cannot be replaced or removed
    macos    a C library without glibc's calls, whose madvise means other things by the same numbers; no /proc
    bare     no C library, no /proc, no affinity, as in a locked-down container
"""

from __future__ import annotations

import builtins
import ctypes
import os
import signal
import sys
import types
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / name) for name in ("inpaint", "page", "app.py"))
STANDARD = (os.path.dirname(os.__file__) + os.sep, "<frozen")

POSIX = {  # what Python's documentation says is there on Unix alone, as far as a program like this might want it
    "os": "fork forkpty getuid geteuid getgid getegid setuid chown fchmod fchown lchown chroot mkfifo mknod "
    "statvfs fstatvfs getloadavg uname killpg getpgid setsid nice pathconf sysconf sched_yield O_NOFOLLOW "
    "O_DIRECTORY O_NONBLOCK O_TMPFILE wait3 wait4 WNOHANG openpty ttyname posix_fadvise posix_fallocate sendfile",
    "signal": "SIGHUP SIGKILL SIGUSR1 SIGUSR2 SIGPIPE SIGALRM alarm setitimer pthread_kill pthread_sigmask sigwait",
}
LINUX = {
    "os": "sched_getaffinity sched_setaffinity memfd_create getrandom getxattr setxattr copy_file_range splice "
    "posix_fadvise eventfd pidfd_open",
    "signal": "SIGPWR SIGSTKFLT pidfd_send_signal",
}
MODULES = {"fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "posix", "syslog"}  # not on Windows


def ours(depth: int = 2) -> bool:
    """Whether a file of ours asks, by itself or through the standard library."""
    frame = sys._getframe(depth)
    while frame and frame.f_code.co_filename.startswith(STANDARD) and not frame.f_code.co_filename.startswith(OURS):
        if "site-packages" in frame.f_code.co_filename:
            return False
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(OURS)


def directly_ours() -> bool:
    return sys._getframe(2).f_code.co_filename.startswith(OURS)


def hide(module: types.ModuleType, names: set[str], instead: dict[str, object]) -> None:
    """Let files of ours find neither `names` in the module nor, for those in `instead`, the real values."""

    class Hidden(types.ModuleType):
        def __getattribute__(self, name):
            if (name in names or name in instead) and directly_ours():
                if name in instead:
                    return instead[name]
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            return super().__getattribute__(name)

    module.__class__ = Hidden


class Mac:
    """The C library of macOS: it has madvise, with other numbers, and nothing of glibc's."""

    def madvise(self, *_):
        raise AssertionError("advice that means something else here")


def become(name: str) -> None:
    """Answer as this system from now on."""
    named = {module: set(words.split()) for module, words in LINUX.items()}
    if name == "windows":
        named = {module: names | set(POSIX[module].split()) for module, names in named.items()}
    hide(os, named["os"], {"name": "nt"} if name == "windows" else {})
    hide(signal, named["signal"], {})
    hide(sys, set(), {"platform": {"windows": "win32", "macos": "darwin"}.get(name, "linux")})
    library, imported = ctypes.CDLL, builtins.__import__

    class Library(library):
        def __new__(cls, called=None, *rest, **more):
            if called is not None or not ours():
                return library(called, *rest, **more)
            if name == "macos":
                return Mac()
            raise TypeError("argument of type 'NoneType' is not iterable") if name == "windows" else OSError("none")

    def importing(wanted, *rest, **more):
        if name == "windows" and wanted.partition(".")[0] in MODULES and directly_ours():
            raise ModuleNotFoundError(f"No module named {wanted!r}")
        return imported(wanted, *rest, **more)

    ctypes.CDLL, builtins.__import__ = Library, importing

    def watch(event, args):
        if event == "open" and str(args[0]).startswith(("/proc/", "/sys/")) and ours():
            raise FileNotFoundError(2, "No such file or directory", str(args[0]))
        if name == "windows" and event in ("os.rename", "os.remove") and ours():
            for path in args[:2]:
                if isinstance(path, (str, os.PathLike)) and is_open(path):
                    raise PermissionError(13, "The process cannot access the file", str(path))

    sys.addaudithook(watch)
    warnings.filterwarnings(
        "error", category=EncodingWarning, module=r"(inpaint|page)\b"
    )  # Windows' own is not UTF-8


def is_open(path) -> bool:
    """Whether this process holds the file open, which Windows would not let anyone replace."""
    real = os.path.realpath(path)
    for number in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{number}") == real:
                return True
        except OSError:
            continue
    return False
