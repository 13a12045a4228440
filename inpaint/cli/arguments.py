"""Turn command-line arguments into a request and the files to write; all is checked before a model is loaded."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import batch
from ..errors import InvalidRequest
from ..files import png_record, writing
from ..request import Request, begun, options
from . import outputs

MASKS = {"mask", "mask_from_alpha", "expand"}  # the fields that say where to paint


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the request's fields that were given as flags."""
    return {name: getattr(args, name) for name in options() if hasattr(args, name)}


def request_of(args: argparse.Namespace) -> Request:
    """Return the request: the given arguments, on top of a saved result's request if there is one."""
    if len(args.inputs) > 3:
        raise InvalidRequest(
            "prompt",
            f'Expected at most PICTURE MASK "PROMPT", but got {len(args.inputs)} words.',
            "Put the prompt in quotes.",
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
        return _varied(args, given)
    if not given.get("prompt") and not MASKS & set(begun(given)):
        raise InvalidRequest("prompt", "There is nothing to do yet.", "Give at least a mask or a prompt; see --help.")
    return Request(**given)


def _varied(args: argparse.Namespace, given: dict[str, Any]) -> Request:
    """Return a saved result's request with the given settings replaced; raise InvalidRequest if its mask is lost."""
    request = replace(Request.from_image(args.source), **begun(given))
    masked = request.mask is not None or request.mask_from_alpha or request.expand
    if masked or len(args.inputs) > 1 or png_record.holds_original(args.source):
        return request
    raise InvalidRequest(
        "mask",
        f"{Path(args.source).name} holds its settings, but not the photo and the mask it was made from.",
        "Give PICTURE and MASK too; or write - - to change the whole of it.",
    )


def outputs_of(args: argparse.Namespace, request: Request) -> outputs.Outputs:
    """Return the files to write; raise InvalidRequest now, before the work, if one cannot be written."""
    picture, mask = ([*map(_path, args.inputs), None, None])[:2]
    source = _path(args.source)
    return outputs.plan(
        args.out,
        request.count,
        args.film,
        picture or source,
        {"picture": picture, "mask": mask, "saved result": source},
    )


def _path(word: str | None) -> Path | None:
    return None if word in (None, "-") else Path(word)


def batch_of(args: argparse.Namespace) -> tuple[list[batch.Item], batch.Output, dict[str, Any]]:
    """Return the batch's items, where their results go, and the settings they share."""
    if args.source or args.film or len(args.inputs) > 1:
        raise InvalidRequest(
            "batch", "A batch takes a prompt, and no PICTURE, MASK, --from or --film.", "Leave the others out."
        )
    settings = {**({"prompt": args.inputs[0]} if args.inputs else {}), **settings_of(args)}
    if args.out is None or args.out.suffix.lower() in writing.FORMATS:
        raise InvalidRequest("out", "A batch writes many files.", "Give -o a folder.")
    items = batch.plan(args.batch, args.masks)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidRequest("out", f"The folder {args.out} cannot be made.", "Choose another place.") from error
    outputs.check_folder(args.out, "Choose another place.")
    return items, batch.Output(args.out, f".{args.format}", args.metadata, args.file_quality), settings
