"""Store visitors' files (uploads, downloads, results of the API) in one folder, within one limit."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from time import monotonic

from inpaint import InpaintError

MEASURED = 1.0  # seconds for which a measurement of the folder is reused


def files_folder() -> Path:
    """Return the folder where Gradio keeps uploads and from which it serves files."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio").resolve()


def new_folder(folder: Path) -> Path:
    """Make a new folder and return it; raise InpaintError if it cannot be made."""
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InpaintError(
            "Nothing can be stored here: the disk is full or read-only.", "Free some space."
        ) from error
    return folder


class Storage:
    """The limit on the files of all visitors together."""

    def __init__(self, megabytes: float):
        self.megabytes = megabytes
        self._taken, self._at = 0.0, -MEASURED

    @property
    def full(self) -> bool:
        """Return whether the folder has reached its limit; measured at most once a second."""
        now = monotonic()
        if now - self._at >= MEASURED:
            self._taken, self._at = megabytes_in(files_folder()), now
        return self._taken >= self.megabytes

    def check(self) -> None:
        """Raise InpaintError if there is no room for more files."""
        if self.full:
            raise InpaintError("There is no room for more files here at the moment.", "Try again later.")

    def add(self, size: int) -> None:
        """Add that many bytes until the next measurement; 0, for an unknown size, measures at once."""
        self._taken += size / 2**20
        if not size:
            self._at = -MEASURED


def megabytes_in(folder: Path) -> float:
    """Return the megabytes of all files in the folder and its subfolders; files that vanish meanwhile are skipped."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.lstat().st_size
        except OSError:
            continue
    return total / 2**20
