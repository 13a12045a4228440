"""Run cases through the command line: in this process by its main function, or as a real process."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import inpaint
from inpaint import InpaintError, Request
from inpaint.options import kind_of
from inpaint.request import options
from tests.robustness.hostile.cases import Case
from tests.robustness.hostile.verdict import Wrong, right, unclear

ROOT = Path(__file__).resolve().parents[3]


class Through:
    """Writes a case's files, runs `python -m inpaint` with them and checks the files afterwards."""

    def __init__(self, folder: Path, process: bool = False):
        self.folder, self.process, self.painter = folder, process, inpaint.load("toy")

    def run(self, case: Case) -> None:
        names = {"picture": case.picture, "mask": case.mask} if case.file is None else {"result": case.file}
        for name, data in names.items():
            if data is not None:
                (self.folder / f"{name}{ending(case)}").write_bytes(data)
        before = set(os.listdir(self.folder))
        count = case.settings.get("count", 1)
        argv = self.argv(case)
        try:
            code, out, err = (self.called if self.process else self.inside)(argv)
            files = sorted(self.folder.glob("out*.png"))
            if code:
                self.refused(code, out, err, before)
            elif len(files) != int(count):
                raise Wrong(f"exit status 0 and {len(files)} pictures")
            else:
                self.compare(case, files)
        finally:
            for name in os.listdir(self.folder):
                (self.folder / name).unlink()

    def argv(self, case: Case) -> list[str]:
        """The command line for a case; a bool is a switch, everything else its words."""
        out = ["-o", str(self.folder / "out.png"), "--model", "toy"]
        if case.file is not None:
            model = case.kind == "weights"
            file = str(self.folder / f"result{ending(case)}")
            return ["-", "-", "x", *out[:2], "--model", file] if model else ["--from", file, *out, "--steps", "1"]
        words = [
            str(self.folder / f"{name}{case.suffix}") if data is not None else "-"
            for name, data in (("picture", case.picture), ("mask", case.mask))
        ]
        for name, value in case.settings.items():
            flag = "--" + name.replace("_", "-")
            if kind_of(options()[name]) is bool and isinstance(value, bool):
                words.append(flag if value else "--no-" + flag[2:])
            else:
                words.append(f"{flag}={written(value)}")
        return [*words, *out]

    def inside(self, argv: list[str]) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of the main function."""
        import warnings

        from inpaint.cli.main import main

        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            try:
                code = main(argv)
            except SystemExit as stop:
                code = stop.code
        return code, out.getvalue(), err.getvalue()

    def called(self, argv: list[str]) -> tuple[int, str, str]:
        """The same of a process of its own."""
        argv = [word.replace("\0", "")[:100_000] for word in argv]  # a process takes no more
        made = subprocess.run([sys.executable, "-m", "inpaint", *argv], cwd=ROOT, capture_output=True, timeout=60)
        return made.returncode, made.stdout.decode("utf-8", "replace"), made.stderr.decode("utf-8", "replace")

    def refused(self, code: int, out: str, err: str, before: set[str]) -> None:
        """Raises InpaintError for one good line on standard error, else Wrong."""
        lines = err.strip().splitlines()
        if code != 2 or len(lines) != 1 or out:
            raise Wrong(f"exit status {code}, {len(lines)} lines on standard error: {err[-300:]!r}")
        if set(os.listdir(self.folder)) != before:
            raise Wrong("a refusal left a file behind")
        if not lines[0].startswith("inpaint: "):
            raise Wrong(f"said {lines[0][:100]!r}")
        if fault := unclear(lines[0]):
            raise Wrong(fault)
        raise InpaintError(lines[0])

    def compare(self, case: Case, files: list[Path]) -> None:
        if case.file is not None:
            asked = Request.from_image(files[0])
        else:
            settings = {
                name: kind_of(options()[name])(value) if not isinstance(value, bool) else value
                for name, value in case.settings.items()
            }
            asked = Request(picture=case.picture, mask=case.mask, **settings)
        right(SimpleNamespace(images=[inpaint.Picture.open(path).rgb for path in files]), asked)


def ending(case: Case) -> str:
    return ".safetensors" if case.kind == "weights" else case.suffix


def written(value) -> str:
    """A value as a person would write it; surrogates cannot be in a command's words."""
    try:
        return str(value).encode("utf-8", "replace").decode()
    except ValueError:
        return "9" * 5000
