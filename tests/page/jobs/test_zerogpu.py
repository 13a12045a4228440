"""Check that `spaces` changes nothing outside ZeroGPU, and that errors can cross processes."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from inpaint import InpaintError, InvalidRequest, ModelError, ModelUnavailable, OutOfMemory, UnreadablePicture

ROOT = Path(__file__).resolve().parents[3]
SPACES = importlib.util.find_spec("spaces") is not None


def run_program(*command: str, folder: Path, **variables: str) -> str:
    """Return what the program prints."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SPACE", "ZERO"))}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**environment, "TMPDIR": str(folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **variables},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "error",
    [InpaintError("A.", "B."), InvalidRequest("mask", "A.", "B."), UnreadablePicture("A."), ModelError("A.", "B."),
     ModelUnavailable("A.", "B."), OutOfMemory("A.")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_errors_cross_processes_whole(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)


def test_the_package_alone_changes_nothing(tmp_path):
    """Hugging Face installs it into every Space with Gradio: the variable is what makes a Space a ZeroGPU one."""
    (tmp_path / "spaces.py").write_text("GPU = None\ndef gradio_auto_wrap(function): return function")
    program = (
        f"import sys; sys.path.insert(0, {'' if SPACES else str(tmp_path)!r})\n"
        "from page.jobs import worker, zerogpu\n"
        "assert not zerogpu.ACTIVE and worker._paint.__module__ == 'page.jobs.worker'\n"
        "from page.jobs.current_model import current_model\n"
        "from PIL import Image; from inpaint import Request\n"
        "request = Request(picture=Image.new('RGB', (64, 64)), mask=Image.new('L', (64, 64), 255), steps=2, seed=1)\n"
        "previews = [event for event in worker.paint('toy', [request]) if hasattr(event, 'kept')]\n"
        "print(len(previews), all(preview.step is not None for preview in previews))"
    )
    assert run_program("-c", program, folder=tmp_path, SPACE_ID="owner/space") == "2 True\n"
