"""From the command line's words to a request and the files to write; all is checked before a model is loaded."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import batch
from ..errors import InvalidRequest
from ..files import film, writing
from ..request import Request, options


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """The request's fields that were given as flags."""
    return {name: getattr(args, name) for name in options() if hasattr(args, name)}


def request_of(args: argparse.Namespace) -> Request:
    """What is asked for: from the words given, on top of a saved result's if there is one."""
    if len(args.inputs) > 3:
        raise InvalidRequest(
            "prompt",
            f"There are {len(args.inputs)} words where three fit.",
            'Write PICTURE MASK "PROMPT", the prompt in quotes.',
        )
    names = ("picture", "mask", "prompt")
    given = {name: word for name, word in zip(names, args.inputs, strict=False) if word != "-"}
    if "mask" in given and not os.path.lexists(given["mask"]):
        raise InvalidRequest(
            "mask",
            f"There is no file {given['mask'][:80]!r}.",
            "The order is PICTURE MASK PROMPT; write - where there is no mask.",
        )
    settings = settings_of(args)
    if "prompt" in given and "prompt" in settings:
        raise InvalidRequest("prompt", "There are two prompts.", "Give it as the third word or as --prompt.")
    given |= settings
    if args.source:
        return replace(Request.from_image(args.source), **given)
    if not given.get("prompt") and not {"mask", "mask_from_alpha", "expand"} & set(given):
        raise InvalidRequest("prompt", "There is nothing to do.", "Give at least a mask or a prompt; see --help.")
    return Request(**given)


def out_of(args: argparse.Namespace, request: Request) -> list[Path]:
    """The files to write; that they can be is checked now, not when the work is done."""
    picture = Path(args.inputs[0]) if args.inputs and args.inputs[0] != "-" else None
    near = picture or (Path(args.source) if args.source else None)
    out = args.out or writing.free_name(
        near.with_name(f"{near.stem.removesuffix('-inpainted')}-inpainted.png") if near else Path("inpainted.png")
    )
    writing.format_of(out)
    if picture and out.exists() and picture.exists() and out.samefile(picture):
        raise InvalidRequest("out", "The result would be written over the picture.", "Give -o another name.")
    paths = writing.numbered(out, request.count)
    if args.film:
        film.format_of(args.film)
    for path in [*paths, *filter(None, [args.film])]:
        folder = path.parent
        if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
            raise InvalidRequest("out", f"{path} cannot be written.", "Choose a file in a folder that is there.")
    return paths


def batch_of(args: argparse.Namespace) -> tuple[list[batch.Job], batch.Output, dict[str, Any]]:
    """Jobs, where they go and with which settings."""
    if args.source or args.film or len(args.inputs) > 1:
        raise InvalidRequest(
            "batch", "A batch takes a prompt, and no PICTURE, MASK, --from or --film.", "Leave the others out."
        )
    settings = {**({"prompt": args.inputs[0]} if args.inputs else {}), **settings_of(args)}
    if args.out is None or args.out.suffix.lower() in writing.FORMATS:
        raise InvalidRequest("out", "A batch writes many files.", "Give -o a folder.")
    jobs = batch.plan(args.batch, args.masks)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidRequest("out", f"The folder {args.out} cannot be made.", "Choose another place.") from error
    return jobs, batch.Output(args.out, f".{args.format}", args.metadata, args.file_quality), settings
