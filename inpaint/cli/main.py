"""Run the command: one request or a batch; report what was done, or in one sentence what is wrong."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import warnings
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from .. import batch
from ..errors import InpaintError, InvalidRequest, ModelError, UnreadablePicture
from ..files import png_record
from ..result import Result
from . import arguments, parser
from .progress import Progress, summary

if TYPE_CHECKING:
    from PIL import Image

USER_ERRORS = (InvalidRequest, UnreadablePicture, ModelError)  # the user can mend these: exit status 2


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status; all output except --json goes to standard error."""
    for stream in (sys.stdout, sys.stderr):  # a console that lacks a letter shows a question mark instead
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    args = parser.parser().parse_intermixed_args(argv)
    progress, pressed = Progress(sys.stderr), _watched()
    if not args.debug:
        warnings.simplefilter("ignore")
    try:
        run = mcp if args.mcp else many if args.batch else one
        return run(args, progress)
    except KeyboardInterrupt:
        progress.clear()
        return _tell("Stopped.", 130)
    except Exception as error:
        progress.clear()
        if pressed:  # libraries that are being imported make other errors of it
            return _tell("Stopped.", 130)
        if args.debug:
            raise
        if isinstance(error, InpaintError):
            return _tell(str(error), 2 if isinstance(error, USER_ERRORS) else 1)
        return _tell(f"{batch.unforeseen(error)} Repeat with --debug to see where.", 1)


def _watched() -> list[int]:
    """Return a list to which every Ctrl-C is added, before it becomes a KeyboardInterrupt as ever."""
    pressed: list[int] = []

    def press(number: int, frame: object) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, press)
    return pressed


def one(args: argparse.Namespace, progress: Progress) -> int:
    """Run one request; write its pictures and its film."""
    if args.masks:
        raise InvalidRequest("masks", "--masks belongs to --batch.", "Give the mask after the picture.")
    request = arguments.request_of(args)
    outputs = arguments.outputs_of(args, request)
    painter = _load(args, progress)
    from ..pipeline.filling import Filled  # which needs torch, as the painter does

    progress.start()
    frames: list[Image.Image] = []
    shown = None
    for event in painter.stream(request, fills=True):
        if isinstance(event, Result):
            result = event
        elif isinstance(event, Filled):
            if args.film and event is not shown:
                frames.append(event.preview())
            shown = event
        else:
            progress(event)
            if args.film and event.image_index == 0:
                frames.append(event.preview())
    progress.clear()
    paths = outputs.save(result, args.metadata, args.file_quality)
    if outputs.film:
        _film(outputs.film, request, frames, result)
    _tell(f"{', '.join(map(str, paths))}: {summary(result)}.")
    for note in result.report.get("notes", ()):
        _tell(note)
    if args.json:
        print(json.dumps({"out": [str(path) for path in paths], **_facts(result)}))
    return 0


def many(args: argparse.Namespace, progress: Progress) -> int:
    """Run a batch; return 1 if any picture failed.  After Ctrl-C, report what was done until then."""
    jobs, output, settings = arguments.batch_of(args)
    done: list[batch.Outcome] = []
    try:
        painter = _load(args, progress)
        progress.start(jobs[0].picture.name)
        for outcome in batch.run(painter, jobs, output, settings, progress):
            done.append(outcome)
            progress.clear()
            _tell(f"{len(done)} of {len(jobs)}: {outcome}")
            if len(done) < len(jobs):
                progress.start(jobs[len(done)].picture.name)
        stopped = False
    except KeyboardInterrupt:
        stopped = True
        progress.clear()
    return _summed_up(args, len(jobs), done, stopped)


def mcp(args: argparse.Namespace, progress: Progress) -> int:
    """Serve MCP clients until standard input ends."""
    if args.inputs or args.batch or args.source or args.out or args.film:
        raise InvalidRequest("mcp", "--mcp takes its pictures from the assistant.", "Give only options of the model.")
    if find_spec("mcp") is None:
        raise InvalidRequest("mcp", "--mcp needs the protocol's library.", 'Run: pip install "mcp<2"')
    from .stdio import serve

    serve(partial(_load, args, progress))
    return 0


def _summed_up(args: argparse.Namespace, jobs: int, done: list[batch.Outcome], stopped: bool) -> int:
    """Report how many pictures were done, as text or with --json as JSON; return the exit status."""
    failed = sum(outcome.result is None for outcome in done)
    if args.json:
        facts = {"pictures": [_outcome(outcome) for outcome in done], "failed": failed}
        print(json.dumps({**facts, "stopped": True} if stopped else facts))
    _tell(f"{len(done) - failed} of {jobs} pictures done" + (f", {failed} failed." if failed else "."))
    return _tell("Stopped.", 130) if stopped else int(failed > 0)


def _outcome(outcome: batch.Outcome) -> dict:
    facts = _facts(outcome.result) if outcome.result else {"problem": outcome.problem}
    return {"picture": str(outcome.item.picture), "out": [str(file) for file in outcome.files], **facts}


def _load(args: argparse.Namespace, progress: Progress):
    """Load and return the painter; this is slow, so check all arguments before."""
    from .. import load
    from ..memory import malloc

    malloc.keep()  # this process runs nothing else

    made = png_record.model_of(args.source) if args.source else {}
    name = args.model or (_family(made["name"]) if "name" in made else "builtin")
    if name == "toy" and args.backend not in ("auto", "torch"):
        raise ModelError("The toy model has no network to run with OpenVINO.", "Leave --backend out.")
    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    painter = load(
        name,
        device=args.device,
        dtype=args.dtype,
        memory=args.memory,
        vae=args.vae,
        loras=tuple(args.lora),
        embeddings=tuple(args.embedding),
        config=args.config,
        inpaint=args.inpaint_model,
        previews=args.previews,
        offline=args.offline,
        allow_pickle=args.allow_pickle,
        backend=args.backend,
        progress=progress.download,
    )
    progress.clear()
    if made and made.get("fingerprint") != painter.model.fingerprint:
        _tell(f"It was made with the model {made.get('name')}, not {painter.model.name}: it will look different.")
    return painter


def _family(name: str) -> str:
    """Return the model that a result names if it is a known family: a file must not choose what is downloaded."""
    from ..models.registry import FAMILIES

    return name if name in FAMILIES else "builtin"


def _film(path: Path, request, frames: list, result: Result) -> None:
    from PIL import Image

    from ..files import film

    last = result.image.convert("RGB")
    last.thumbnail((512, 512))
    first = [request.picture.rgb.resize(last.size, Image.Resampling.BICUBIC)] if request.picture else []
    film.save_film(path, [*first, *frames, last])


def _facts(result: Result) -> dict:
    return {"seeds": list(result.seeds), "report": result.report, "model": result.model}


def _tell(sentence: str, code: int = 0) -> int:
    print(f"inpaint: {sentence}" if code else sentence, file=sys.stderr)
    return code
