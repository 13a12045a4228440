"""Many pictures one after the other: which mask belongs to which, and a failure that stops nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InpaintError, InvalidRequest
from .files import writing
from .request import Request

if TYPE_CHECKING:
    from .diffusion.sampling import Step
    from .result import Result

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".avif")
MARKS = ("_mask", "-mask", ".mask", " mask")  # a_mask.png belongs to a.jpg


@dataclass(frozen=True, slots=True)
class Job:
    """A picture and its mask; `problem` says why there is none."""

    picture: Path
    mask: Path | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: the files written and the result, or the sentence that says what was wrong."""

    job: Job
    files: tuple[Path, ...] = ()
    result: Result | None = None
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.job.picture.name}: {self.problem or ', '.join(file.name for file in self.files)}"


@dataclass(frozen=True, slots=True)
class Output:
    """Where results go, and how they are written; nothing that is there is written over."""

    folder: Path
    suffix: str = ".png"
    metadata: str = "full"
    quality: int = 95

    def save(self, result: Result, name: str) -> tuple[Path, ...]:
        """The files of one result: name.png, or name-1.png, name-2.png, …"""
        files = []
        for k, path in enumerate(writing.numbered(self.folder / f"{name}{self.suffix}", len(result.images))):
            files.append(result.save(writing.free_name(path), k, self.metadata, self.quality))
        return tuple(files)


def pair(pictures: Iterable[Path], masks: Path | Iterable[Path] | None = None) -> list[Job]:
    """Jobs in the order of the pictures: one mask for all, or the one with the picture's stem.

    `a.jpg` takes `a.png`, `a_mask.png` or `a-mask.png`, in large or small letters.  Without `masks` no job has
    one.  A picture without its mask becomes a job that says so.
    """
    pictures = list(pictures)
    if masks is None or isinstance(masks, Path):
        return [Job(picture, masks) for picture in pictures]
    known: dict[str, Path] = {}
    for mask in sorted(masks):
        known.setdefault(_stem(mask), mask)
        known[mask.stem.lower()] = mask  # a full match goes first
    jobs = []
    for picture in pictures:
        mask = known.get(picture.stem.lower())
        missing = f"There is no mask for it. Name one {picture.stem}.png or {picture.stem}_mask.png."
        jobs.append(Job(picture, mask, "" if mask else missing))
    return jobs


def split(files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Pictures and masks: masks end in _mask or lie in a folder called masks."""
    pictures, masks = [], []
    for file in sorted(files):
        if file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
            marked = _stem(file) != file.stem.lower() or file.parent.name.lower() in ("mask", "masks")
            (masks if marked else pictures).append(file)
    return pictures, masks


def plan(folder: Path, masks: Path | None = None) -> list[Job]:
    """The jobs of a folder: with a folder of masks, one mask for all, or the files in it that end in _mask."""
    files = listed(folder)
    if masks is not None and masks.is_file():
        jobs = pair([file for file in files if file != masks and not file.samefile(masks)], masks)
    elif masks is not None and not (masks.exists() and masks.samefile(folder)):
        jobs = pair(files, listed(masks))
    else:
        pictures, found = split(files)
        jobs = pair(pictures, found or None)
    if not jobs:
        raise InvalidRequest("batch", f"There are no pictures in {folder}.", "Choose another folder.")
    return jobs


def listed(folder: Path) -> list[Path]:
    """The pictures in a folder, sorted by name, not those in folders below."""
    try:
        files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in SUFFIXES and file.is_file()]
    except OSError as error:
        raise InvalidRequest("batch", f"The folder {folder} cannot be read.", "Check its name.") from error
    return [file for file in files if not file.name.startswith(".")]


def run(
    painter,
    jobs: Iterable[Job],
    output: Output,
    settings: dict[str, Any] | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Iterator[Outcome]:
    """One outcome a job, as each is done; a failure becomes its sentence and the rest goes on.

    `settings` are the Request's fields but picture and mask.  Close the iterator to stop.
    """
    for job in jobs:
        if job.problem:
            yield Outcome(job, problem=job.problem)
            continue
        try:
            result = painter(Request(picture=job.picture, mask=job.mask, **settings or {}), on_step)
            outcome = Outcome(job, output.save(result, job.picture.stem), result)
        except InpaintError as error:
            outcome = Outcome(job, problem=str(error))
        except Exception as error:  # whatever one picture does, the next one is tried
            outcome = Outcome(job, problem=inner(error))
        yield outcome


def _stem(mask: Path) -> str:
    """The stem without the mark of a mask, in small letters."""
    stem = mask.stem.lower()
    for mark in MARKS:
        stem = stem.removesuffix(mark)
    return stem


def inner(error: Exception) -> str:
    """One sentence, on one line, for a failure that nobody foresaw."""
    return " ".join(["It failed inside:", *f"{type(error).__name__}: {error}".split()])[:300].rstrip(".: ") + "."
