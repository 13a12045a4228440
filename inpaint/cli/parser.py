"""Build the command line's parser: one flag for every option of the request, with the option's own help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import Field
from pathlib import Path
from typing import Any, NoReturn

from ..errors import InvalidRequest
from ..options import AUTO, from_text, kind_of, optional
from ..request import options
from ..result import METADATA

USAGE = """python -m inpaint PICTURE MASK "PROMPT" [-o OUT.png] [options]
       python -m inpaint --batch FOLDER [--masks FOLDER] "PROMPT" -o FOLDER [options]
       python -m inpaint --mcp [--model M]"""
ABOUT = """Repaint the white part of MASK in PICTURE as PROMPT says; every other pixel stays as it is.

Write - for what is not there: no mask changes the whole picture, no picture either paints from the prompt alone.
  python -m inpaint photo.jpg mask.png "a red scarf" -o out.png
  python -m inpaint photo.jpg - "a watercolour" --strength 0.5
  python -m inpaint - - "a castle by the sea" --seed 7
  python -m inpaint --from out.png --seed 8"""
CODES = """Exit status: 0 done; 1 an unexpected failure, or some pictures of a batch failed;
2 the arguments, files or model cannot be used; 130 stopped with Ctrl-C."""
LONGEST = 400  # characters of an error message
TITLES = {"prompt": "words", "area": "what the model is shown", "finish": "filling and joining"}


class Parser(argparse.ArgumentParser):
    """A parser with errors of one line, and options anywhere among the inputs."""

    def parse_intermixed_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> argparse.Namespace:
        """Parse the arguments; all after "--" are inputs, which argparse itself refuses if they begin with a dash."""
        given = list(sys.argv[1:] if args is None else args)
        end = given.index("--") if "--" in given else len(given)
        found = super().parse_intermixed_args(given[:end], namespace)
        found.inputs = [*found.inputs, *given[end + 1 :]]
        return found

    def error(self, message: str) -> NoReturn:
        """Exit with a one-line error, without the usage text; a long argument is quoted by its beginning."""
        message = "".join(c if c.isprintable() else "?" for c in message).rstrip(".")
        message = message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"
        self.exit(2, f"inpaint: {message}. See --help.\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser; its result holds only the flags that were given."""
    made = Parser(
        prog="python -m inpaint",
        usage=USAGE,
        description=ABOUT,
        epilog=CODES,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("inputs", nargs="*", metavar="PICTURE MASK PROMPT", help="paths and words; - for none")
    output, model = made.add_argument_group("output"), made.add_argument_group("model")
    _output(output)
    _model(model)
    groups: dict[str, Any] = {"": made}
    for name, field in options().items():
        title = field.metadata["group"]
        if title not in groups:
            groups[title] = made.add_argument_group(TITLES.get(title, title))
        _flag(groups[title], name, field)
    return made


def _flag(group, name: str, field: Field) -> None:
    meta, kind = field.metadata, kind_of(field)
    plain = "--" + name.replace("_", "-")
    flags = [meta["flag"], plain] if meta["flag"] else [plain]
    limits = f"{meta['low']:g} to {meta['high']:.12g}; " if meta["low"] is not None else ""
    default = AUTO if optional(field) else f"{field.default:g}" if kind in (int, float) else field.default
    default = {True: "on", False: "off", "": "none"}.get(default, default) if kind in (bool, str) else default
    text = f"{meta['help']} [{limits}default {default}]".replace("%", "%%")
    if kind is bool:
        group.add_argument(
            *flags, dest=name, help=text, default=argparse.SUPPRESS, action=argparse.BooleanOptionalAction
        )
    else:
        words = {int: "N", float: "X", str: "TEXT"}[kind]
        group.add_argument(
            *flags,
            dest=name,
            help=text,
            default=argparse.SUPPRESS,
            type=_typed(field),
            metavar="|".join(meta["choices"]) or words,
        )


def _typed(field: Field):
    """Return a converter from text to a checked value; its errors are those of the request."""

    def convert(text: str):
        try:
            return from_text(field, text)
        except InvalidRequest as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _output(group) -> None:
    add = group.add_argument
    add(
        "-o",
        "--out",
        metavar="OUT.png",
        type=Path,
        help="PNG, JPEG, WebP or TIFF by its suffix; for several pictures "
        "OUT-1.png, OUT-2.png, … [default: a new file beside the picture]",
    )
    add("--film", metavar="FILM.webp", type=Path, help="a film of the first picture's steps: .webp, .gif or .png")
    add("--json", action="store_true", help="one JSON object on standard output: out, seeds, report, model")
    add(
        "--metadata",
        choices=METADATA,
        default="full",
        help="what to store in the picture: everything needed to repeat it (PNG), "
        "the settings alone, or nothing [default full]",
    )
    add(
        "--file-quality",
        metavar="N",
        type=_within(100),
        default=95,
        help="quality of JPEG and WebP, 1 to 100 [default 95]",
    )
    add("--from", dest="source", metavar="RESULT.png", help="take picture, mask and settings from a saved result")
    add("--batch", metavar="FOLDER", type=Path, help="repaint every picture in FOLDER")
    add(
        "--masks",
        metavar="FOLDER",
        type=Path,
        help="the batch's masks, matched by name (a.jpg: a.png or a_mask.png), or "
        "one mask file for all [default: files in the batch folder whose names end in _mask]",
    )
    add(
        "--format",
        choices=("png", "jpg", "webp", "tiff"),
        default="png",
        help="file format of a batch's results [default png]",
    )
    add(
        "--mcp",
        action="store_true",
        help="serve assistants (MCP) on standard input and output; takes --model and "
        'the other model options; needs pip install "mcp<2"',
    )
    add("--debug", action="store_true", help="show where in the program a failure happened")


def _model(group) -> None:
    add = group.add_argument
    add("--model", metavar="M", help="builtin, toy, sd15, a folder, a file or a Hub id [default builtin]")
    add("--inpaint-model", metavar="M", help="another model, whose 9-channel UNet is used with this one")
    add("--device", default="auto", help="auto, cpu, cuda, mps [default auto]")
    add("--dtype", default="auto", help="auto, float32, bfloat16, float16 [default auto]")
    add("--memory", default="auto", help="auto, low, resident, offload, sequential [default auto]")
    add("--backend", default="auto", help="the library that runs the UNet: auto, torch, openvino [default auto]")
    add("--vae", metavar="PATH", help="another VAE: a folder, a file or a Hub id")
    add("--previews", metavar="PATH", help="another VAE for the previews alone, such as TAESD: a folder or a Hub id")
    add("--config", metavar="PATH", help="the folder with the configurations of a single-file model")
    add(
        "--lora", metavar="PATH[:WEIGHT]", action="append", default=[], help="a LoRA file; may be given several times"
    )
    add(
        "--embedding",
        metavar="[NAME=]PATH",
        action="append",
        default=[],
        help="a textual-inversion file; its name becomes a word for prompts; may be given several times",
    )
    add("--offline", action=argparse.BooleanOptionalAction, help="never download anything")
    add("--allow-pickle", action="store_true", help="also read .ckpt files, weights only")
    add("--threads", metavar="N", type=_within(1024), help="processor threads to use")


def _within(most: int):
    def convert(text: str) -> int:
        if text.isdecimal() and 1 <= int(text[:6]) <= most:
            return int(text[:6])
        raise argparse.ArgumentTypeError(f"Use a whole number from 1 to {most}.")

    return convert
