"""Read pictures from zip files and write them; refuse what a hostile zip could do."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from ..batch import SUFFIXES
from ..errors import InpaintError, InvalidRequest
from . import writing

MAX_FILES = 1000
MAX_FILE = 256 * 2**20  # bytes of one picture
MAX_BYTES = 2 * 2**30  # bytes of all of them
BROKEN = (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zlib.error)


def unpack(source: Any, folder: Path) -> list[Path]:
    """Extract the pictures of a zip (a path, bytes or an open file) into an empty folder; return them sorted.

    Other files are left out.  Absolute paths, `..`, links, passwords, and more or larger files than fit are
    refused; sizes are counted as they are unpacked, whatever the zip announces.
    """
    source = BytesIO(source) if isinstance(source, bytes) else source
    try:
        with zipfile.ZipFile(source) as archive:
            wanted = [info for info in archive.infolist() if _wanted(info)]
            if len(wanted) > MAX_FILES:
                raise _refused(f"it holds {len(wanted)} pictures", f"Use at most {MAX_FILES} at a time")
            if sum(info.file_size for info in wanted) > MAX_BYTES:
                raise _too_large()
            names = [_safe(info) for info in wanted]
            if len({str(name).lower() for name in names}) < len(names):
                raise _refused("it holds two files of the same name", "Rename one of them")
            left = MAX_BYTES
            files = []
            for info, name in zip(wanted, names, strict=True):
                files.append(folder / name)
                left -= _extract(archive, info, folder / name, left)
    except BROKEN as error:
        raise _refused("it is broken or no zip file", "Pack the pictures once more") from error
    return sorted(files)


def pack(files: Iterable[Path], path: Path) -> Path:
    """Write a zip of these files by their names alone, uncompressed: pictures do not shrink twice."""
    taken: set[str] = set()
    with (
        writing.whole(path) as packed,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive,
    ):  # a clock may stand at 1970
        for file in files:
            name, number = file.name, 0
            while name.lower() in taken:
                number += 1
                name = f"{file.stem}-{number}{file.suffix}"
            taken.add(name.lower())
            archive.write(file, name)
    return path


def _wanted(info: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(info.filename.replace("\\", "/"))
    hidden = any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in path.parts)
    return not info.is_dir() and not hidden and path.suffix.lower() in SUFFIXES


def _safe(info: zipfile.ZipInfo) -> PurePosixPath:
    """Return the file's path below the folder, if it stays there."""
    text = info.filename.replace("\\", "/")
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or ":" in text or any(not c.isprintable() for c in text):
        raise _refused("a file in it would land outside its folder", "Pack the pictures once more")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise _refused("it holds a link", "Pack the pictures themselves")
    if info.flag_bits & 1:
        raise _refused("it is locked with a password", "Pack it without one")
    return path


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Write one picture; return its size, never more than the room that is left."""
    room, taken = min(MAX_FILE, left), 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as packed, open(target, "xb") as file:
            while block := packed.read(2**20):
                taken += len(block)
                if taken > room:
                    raise _too_large()
                file.write(block)
    except OSError as error:
        raise InpaintError(
            f"The zip cannot be unpacked: {(error.strerror or str(error)).lower()}.", "Free some space."
        ) from error
    return taken


def _refused(why: str, advice: str) -> InvalidRequest:
    return InvalidRequest("batch", f"The zip cannot be used: {why}.", f"{advice}.")


def _too_large() -> InvalidRequest:
    return _refused("its pictures are too large", f"Use less than {MAX_BYTES // 2**30} GB at a time")
