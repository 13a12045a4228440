"""Choose the files that a run writes, and check before any work that they can be written.

No input is ever overwritten, and no two outputs share a file.
"""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..errors import InvalidRequest
from ..files import film, writing
from ..result import Result

MANY = 500  # names of new files that a film is compared with


@dataclass(frozen=True, slots=True)
class Outputs:
    """The paths of the pictures and the film.

    fresh  the names were not chosen by the user, so existing files are kept and other names are found
    """

    paths: list[Path]
    film: Path | None
    fresh: bool

    def save(self, result: Result, metadata: str, quality: int) -> list[Path]:
        """Write the pictures and return where they are."""
        if not self.fresh:
            return [result.save(path, k, metadata, quality) for k, path in enumerate(self.paths)]
        path, several = self.paths[0], len(self.paths) > 1
        return [
            writing.write_new(path, result.to_bytes("PNG", k, metadata, quality), several)
            for k in range(len(self.paths))
        ]


def plan(
    out: Path | None, count: int, film_path: Path | None, near: Path | None, inputs: Mapping[str, Path | None]
) -> Outputs:
    """Return the paths of `count` pictures: `out`, or without it new files beside `near`.

    inputs  the files that are read, such as {"picture": path, "mask": path}: none of them is overwritten

    Raises InvalidRequest.
    """
    fresh = out is None
    if out is None:
        out = (
            near.with_name(f"{near.stem.removesuffix('-inpainted')}-inpainted.png") if near else Path("inpainted.png")
        )
        out = next(writing.names(out))  # shortens a long name
    writing.format_of(out)
    paths = [out] * count if fresh else writing.numbered(out, count)
    named = {} if fresh else dict.fromkeys(paths, "result")
    if film_path:
        film.format_of(film_path)
        possible = islice(writing.names(out, count > 1), MANY) if fresh else paths
        if any(_folded(film_path) == _folded(path) for path in possible):
            raise InvalidRequest(
                "film", f"The film and a result would both be {film_path}.", "Give one another name."
            )
        named[film_path] = "film"
    for path, output in named.items():
        for kind, given in inputs.items():
            if given and _is_same(path, given):
                raise InvalidRequest("out", f"The {output} would overwrite the {kind}.", "Give it another name.")
        check_file(path)
    if fresh:
        check_folder(out.parent, "Give -o a name in another folder.")
    return Outputs(paths, film_path, fresh)


def check_file(path: Path) -> None:
    """Raise InvalidRequest if no file of this name can be written."""
    if os.path.isdir(path):  # unlike Path.is_dir, also for a name that is too long
        raise InvalidRequest("out", f"{path} cannot be written: it is a folder.", "Name a file in it.")
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:  # ValueError: a zero byte
        if getattr(error, "errno", errno.EINVAL) not in (errno.ENOENT, errno.ENOTDIR):
            long = getattr(error, "errno", 0) == errno.ENAMETOOLONG
            why = "its name is too long" if long else "its name cannot be used"
            raise InvalidRequest("out", f"{_short(path)} cannot be written: {why}.", "Choose another name.") from None
    else:
        if not mode & 0o222 or not os.access(path, os.W_OK):
            raise InvalidRequest("out", f"{path} cannot be written: it is read-only.", "Choose another name.")
    real = Path(os.path.realpath(path)) if path.is_symlink() else path
    check_folder(real.parent, "Choose a file in a folder that exists.")


def check_folder(folder: Path, advice: str) -> None:
    """Raise InvalidRequest unless files can be made in the folder; tries it with a temporary file."""
    import tempfile

    if not folder.is_dir():
        raise InvalidRequest("out", f"Nothing can be written in {_short(folder)}: there is no such folder.", advice)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InvalidRequest("out", f"Nothing can be written in {_short(folder)}: {why}.", advice) from error


def _is_same(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same file, with links resolved."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def _folded(path: Path) -> str:
    """Return the path with links resolved, in lower case, since some file systems ignore case."""
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()


def _short(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 120 else f"…{text[-119:]}"
