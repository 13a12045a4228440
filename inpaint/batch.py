"""Repaint many pictures, one after the other: pair them with their masks, and go on when one of them fails."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InpaintError, InvalidRequest
from .files import writing
from .files.reading import SUFFIXES
from .request import Request

if TYPE_CHECKING:
    from .inpainter import Inpainter
    from .pipeline.step import Step
    from .result import Result

MASK_ENDINGS = ("_mask", "-mask", ".mask", " mask")  # a_mask.png belongs to a.jpg


@dataclass(frozen=True, slots=True)
class Item:
    """A picture and its mask; if the mask is missing or unclear, `problem` says why."""

    picture: Path
    mask: Path | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item: the files written and the result, or a sentence that says what went wrong."""

    item: Item
    files: tuple[Path, ...] = ()
    result: Result | None = None
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.item.picture.name}: {self.problem or ', '.join(file.name for file in self.files)}"


@dataclass(frozen=True, slots=True)
class Output:
    """Where results go and how they are written; existing files are never overwritten."""

    folder: Path
    suffix: str = ".png"
    metadata: str = "full"
    quality: int = 95

    def save(self, result: Result, name: str) -> tuple[Path, ...]:
        """Write the files of one result, name.png, or name-1.png, name-2.png, …; return where they are."""
        path, several = self.folder / f"{name}{self.suffix}", len(result.images) > 1
        format = writing.format_of(path)
        return tuple(
            writing.write_new(path, result.to_bytes(format, k, self.metadata, self.quality), several)
            for k in range(len(result.images))
        )


def pair(pictures: Iterable[Path], masks: Path | Iterable[Path] | None = None) -> list[Item]:
    """Return items in the order of the pictures: one mask for all, or the one with the picture's stem.

    `a.jpg` takes `a.png`, `a_mask.png` or `a-mask.png`.  A mask whose name matches exactly wins over one that differs
    in upper and lower case, and is not given to any other picture.  Without `masks` no item has a mask.  If a
    picture's mask is missing, its item's `problem` says so.
    """
    pictures = list(pictures)
    if masks is None or isinstance(masks, Path):
        return [Item(picture, masks) for picture in pictures]
    masks = sorted(masks)
    exact = _by_stem(masks, str)
    taken = {mask for picture in pictures for mask in exact.get(picture.stem, ())}
    folded = _by_stem([mask for mask in masks if mask not in taken], _folded)
    return [_item(picture, exact.get(picture.stem) or folded.get(_folded(picture.stem), [])) for picture in pictures]


def _by_stem(masks: list[Path], fold: Callable[[str], str]) -> dict[str, list[Path]]:
    """Return {folded stem: masks}: the masks with that very stem or, if there are none, with an ending after it."""
    plain: defaultdict[str, list[Path]] = defaultdict(list)
    marked: defaultdict[str, list[Path]] = defaultdict(list)
    for mask in masks:
        plain[fold(mask.stem)].append(mask)
        marked[fold(_unmarked(mask.stem))].append(mask)
    return {**marked, **plain}


def _item(picture: Path, masks: list[Path]) -> Item:
    """Pair the picture with the last of its masks (a.png rather than a.jpg), or say what is wrong."""
    if len({mask.stem for mask in masks if _folded(mask.stem) == _folded(masks[-1].stem)}) > 1:
        names = " and ".join(mask.name for mask in masks)
        return Item(picture, problem=f"{names} differ only in case. Name its mask {picture.stem}_mask.png exactly.")
    if not masks:
        missing = f"There is no mask for it. Name one {picture.stem}.png or {picture.stem}_mask.png."
        return Item(picture, problem=missing)
    return Item(picture, masks[-1])


def _folded(name: str) -> str:
    """Return the name in lower case, with accents composed (NFC)."""
    return unicodedata.normalize("NFC", name).lower()


def split(files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Return (pictures, masks): masks end in _mask or lie in a folder called masks."""
    pictures: list[Path] = []
    masks: list[Path] = []
    for file in sorted(files):
        if file.suffix.lower() in SUFFIXES and not file.name.startswith("."):
            marked = _unmarked(file.stem) != file.stem or file.parent.name.lower() in ("mask", "masks")
            (masks if marked else pictures).append(file)
    return pictures, masks


def plan(folder: Path, masks: Path | None = None) -> list[Item]:
    """Return a folder's items, with masks from a folder, one mask for all, or the files in it that end in _mask."""
    files = listed(folder)
    if masks is not None and masks.is_file():
        items = pair([file for file in files if file != masks and not file.samefile(masks)], masks)
    elif masks is not None and not (masks.exists() and masks.samefile(folder)):
        items = pair(files, listed(masks))
    else:
        pictures, found = split(files)
        items = pair(pictures, found or None)
    if not items:
        raise InvalidRequest("batch", f"There are no pictures in {folder}.", "Choose another folder.")
    return items


def listed(folder: Path) -> list[Path]:
    """Return the pictures in a folder, sorted by name, without subfolders; raise InvalidRequest."""
    try:
        files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in SUFFIXES and file.is_file()]
    except OSError as error:
        raise InvalidRequest("batch", f"The folder {folder} cannot be read.", "Check its name.") from error
    return [file for file in files if not file.name.startswith(".")]


def run(
    painter: Inpainter,
    items: Iterable[Item],
    output: Output,
    settings: dict[str, Any] | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Iterator[Outcome]:
    """Yield one outcome per item as it finishes; a failure becomes a sentence and the batch goes on.

    settings  any fields of the Request except picture and mask

    Close the iterator to stop.
    """
    for item in items:
        if item.problem:
            yield Outcome(item, problem=item.problem)
            continue
        try:
            result = painter(Request(picture=item.picture, mask=item.mask, **settings or {}), on_step)
            outcome = Outcome(item, output.save(result, item.picture.stem), result)
        except InpaintError as error:
            outcome = Outcome(item, problem=str(error))
        except Exception as error:  # an unexpected failure must not end the batch
            outcome = Outcome(item, problem=unforeseen(error))
        yield outcome


def _unmarked(stem: str) -> str:
    """Return the stem without its mask ending, such as _mask or -MASK."""
    for ending in MASK_ENDINGS:
        if stem.lower().endswith(ending):
            stem = stem[: -len(ending)]
    return stem


def unforeseen(error: Exception) -> str:
    """Describe an unexpected failure in one sentence on one line."""
    words = f"Something unexpected went wrong: {type(error).__name__}: {error}".split()
    return " ".join(words)[:300].rstrip(".: ") + "."
