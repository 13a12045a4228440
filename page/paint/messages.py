"""Make the messages from the server to the editor; assets/page/messages.js handles each kind."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

Message = dict[str, Any]

_serial = itertools.count(1)


def message(kind: str = "", **content: Any) -> Message:
    """Return a message of this kind; it is numbered, because Gradio drops a value that equals the one before."""
    return {"kind": kind, "n": next(_serial), **content}


def notice(sentence: str, bad: bool = False, forgotten: bool = False) -> Message:
    """Show a sentence in the line below the picture; `bad` if it reports a problem.

    `forgotten`: there is no picture in this session, so that the editor sends the one it shows again, if any.
    """
    return message(say=sentence, bad=bad, forgotten=forgotten)


def picture(src: str, full: tuple[int, int], name: str, *, alpha: str | None, back: bool, forward: bool, **more: Any):
    """Show a picture to paint on.

    src      `data:` URL of its display copy
    full     its own width and height in pixels
    name     its file's name without suffix
    alpha    `data:` URL of its transparency as a mask; None if it has none
    back     whether there is an earlier picture to return to
    forward  whether there is a later one
    more     mask (a `data:` URL), opened (it comes from a file), keep_mask, say, key (the session's), strip (results
             to show in place of the present ones; None leaves those)
    """
    return message("picture", src=src, full=list(full), name=name, alpha=alpha, back=back, forward=forward, **more)


def mask(src: str, sentence: str, bad: bool) -> Message:
    """Use a grey picture, given as a `data:` URL, as the mask, and show a sentence."""
    return message("mask", src=src, say=sentence, bad=bad)


def thing(of: Any, src: str | None = None, box: list[int] | None = None, **more: Any) -> Message:
    """Put the thing that was asked for by request number `of` into the mask; no `src` if none was found.

    src   `data:` URL of its grey picture
    box   where it is, in the mask's pixels
    more  say, bad, forgotten (as in `notice`)
    """
    return message("thing", of=of, src=src, box=box, **more)


def wait(text: str) -> Message:
    """Show in the progress bar what a run is waiting for."""
    return message("wait", text=text)


def step(fraction: float, text: str, src: str | None, area: str | None) -> Message:
    """Move the progress bar; show the preview `src`, if there is one, where the stencil `area` is opaque."""
    return message("step", fraction=fraction, text=text, src=src, area=area)


def result(
    items: list[dict[str, Any]], *, run: int, gone: list[str], frames: int, branches: bool, **more: Any
) -> Message:
    """Add the results of a run to the strip, and show the first.

    items     as `Results.item` makes them
    gone      ids of older results for which there is no room any more
    frames    how many steps can be shown
    branches  whether a run can continue from one of them
    more      back and forward, as of a picture; say
    """
    return message("result", items=items, run=run, gone=gone, frames=frames, branches=branches, **more)


def item(id: str, src: str) -> Message:
    """Show a result of the strip whose picture the page did not have yet."""
    return message("item", id=id, src=src)


def detail(which: str, box: list[int], src: str) -> Message:
    """Show a part of the picture at its own resolution: of the photo or the result, in this box of its pixels."""
    return message("detail", which=which, box=box, src=src)


def strip(items: list[dict[str, Any]]) -> Message:
    """Put the results of before a reload into the strip; none if the server has forgotten them."""
    return message("strip", items=items)


def frame(index: int, src: str) -> Message:
    """Show the picture as it was after a step."""
    return message("frame", index=index, src=src)


def restored(item: dict[str, Any], place: int) -> Message:
    """Put a deleted result back into the strip, where it was, and show it."""
    return message("restored", item=item, place=place)


def paint(back: bool, forward: bool, gone: list[str], **more: Any) -> Message:
    """Show the picture for painting, without a result; `gone` are the ids of deleted ones.

    more  say
    """
    return message("paint", back=back, forward=forward, gone=gone, **more)


def stopped(sentence: str, *, preview: bool = False, bad: bool = False, **more: Any) -> Message:
    """End a run without a result; `preview` keeps the last preview on screen.

    more  field (the setting to change), forgotten (as in `notice`)
    """
    return message("stopped", say=sentence, preview=preview, bad=bad, **more)


def file(path: Path, sentence: str = "") -> Message:
    """Let the browser download a file of this session."""
    return message("file", path=str(path), name=path.name, say=sentence)


def clip(path: Path) -> Message:
    """Let the browser copy a file of this session to the clipboard."""
    return message("clip", path=str(path))


def copy(path: Path, of: Any) -> Message:
    """Let the browser store a file of this session as its copy of the picture that message number `of` showed."""
    return message("copy", path=str(path), name=path.name, of=of)
