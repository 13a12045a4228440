"""Check that a process leaves no files behind, and that those of a killed one go when the next one starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from page.server.private_folder import remove_abandoned

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = (
    "import time; from page.server.private_folder import *\n"
    "leave_on_signals(); print(private_folder(), flush=True); time.sleep(60)"
)


def started(parent: Path, *before: str) -> tuple[subprocess.Popen, Path]:
    process = subprocess.Popen(
        [*before, sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(parent)},
    )  # fmt: skip
    folder = Path(process.stdout.readline().strip())
    (folder / "upload.png").write_bytes(b"x")
    return process, folder


def ended(process: subprocess.Popen) -> int:
    code = process.wait(20)
    process.stdout.close()
    return code


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_the_folder_goes_with_the_process(tmp_path, name):
    process, folder = started(tmp_path)
    assert folder.is_dir() and folder.parent.stat().st_mode & 0o077 == 0, "nobody else looks in"
    process.send_signal(getattr(signal, name))
    assert ended(process) == 0 and not list(tmp_path.iterdir())


def test_a_closed_terminal_does_not_end_what_nohup_started(tmp_path):
    process, folder = started(tmp_path, "nohup")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None and folder.is_dir()
    process.terminate()
    ended(process)


def test_the_next_one_removes_what_a_killed_one_left(tmp_path):
    killed, left = started(tmp_path)
    killed.kill()
    ended(killed)
    alive, folder = started(tmp_path)
    assert not left.exists() and not left.parent.exists()
    third, _ = started(tmp_path)
    assert folder.is_dir(), "the folder of one that is alive stays"
    for process in (alive, third):
        process.terminate()
        ended(process)
    assert not list(tmp_path.iterdir())


def test_nothing_else_is_removed(tmp_path):
    (tmp_path / "inpaint-notes").mkdir()
    (tmp_path / "inpaint-notes" / "todo.txt").write_text("x")
    (tmp_path / "inpaint.txt").write_text("x")
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "lock").write_text("")
    (tmp_path / "inpaint-link").symlink_to(target)
    remove_abandoned(tmp_path)
    assert (tmp_path / "inpaint-notes" / "todo.txt").exists() and (target / "lock").exists()
