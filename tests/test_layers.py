"""Who may import what: the table below is the architecture."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "scipy", "diffusers", "transformers", "accelerate", "peft", "gradio"}

NOTHING, PIXELS, NETWORKS = set(), {"PIL", "numpy"}, {"PIL", "numpy", "torch"}

# What each module may import at its top beside the standard library; heavier things only where they are used.
TABLE = {
    # what is asked and what comes back
    "__init__": NOTHING, "errors": NOTHING, "request": {"PIL"}, "result": NOTHING, "capsule": NOTHING,
    "original": NOTHING, "parameters": NOTHING, "exif": NOTHING, "saving": NOTHING, "film": NOTHING,
    # the command line
    "__main__": NOTHING, "cli": NOTHING, "flags": NOTHING, "progress": NOTHING, "batch": NOTHING, "zips": NOTHING,
    # pixels
    "picture": {"PIL"}, "opening": {"PIL"}, "upright": {"PIL"}, "modes": {"PIL"}, "levels": PIXELS, "mask": PIXELS,
    "crop": {"PIL"}, "fill": PIXELS, "membrane": {"numpy"}, "expand": PIXELS, "colour": {"numpy"},
    "finish": PIXELS, "joint": PIXELS, "report": PIXELS,
    # the article
    "sampling": {"torch"}, "schedule": NOTHING, "schedulers": {"torch"}, "noise": {"torch"}, "toy": {"torch"},
    "article": NETWORKS,
    # models
    "models": NOTHING, "model": {"torch"}, "folder": {"torch"}, "singlefile": {"torch"}, "hub": NOTHING,
    "device": {"torch"}, "memory": {"torch"}, "placing": {"torch"}, "paging": {"torch"}, "backend": {"torch"},
    "openvino": {"torch"}, "heap": NOTHING,
    "lora": {"torch"}, "text": {"torch"},
    "emphasis": NOTHING, "autoencoder": {"torch"}, "fingerprint": NOTHING, "ldmconfig": NOTHING,
    "unet": {"torch"}, "packing": {"torch"},
    "prediction": {"torch"}, "reuse": {"torch"}, "shelf": NOTHING, "vaes": {"torch"}, "weights": {"torch"},
    # from a request to a result
    "latents": NETWORKS, "preview": NETWORKS, "closeup": {"PIL", "torch"}, "live": {"PIL", "torch"},
    "job": {"PIL"}, "defaults": NOTHING, "ladder": NOTHING, "stopwatch": NOTHING,
    "inpainter": {"torch"},
}


def imports(path: Path, top_only: bool = True) -> set[str]:
    """First names of what a file imports; inside functions too unless `top_only`."""
    tree = ast.parse(path.read_text())
    names = set()
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("module", TABLE)
def test_each_module_imports_what_the_table_allows(module):
    found = imports(ROOT / "inpaint" / f"{module}.py") - set(sys.stdlib_module_names)
    assert found <= TABLE[module], found - TABLE[module]


def test_the_table_is_complete():
    assert {path.stem for path in (ROOT / "inpaint").glob("*.py")} == set(TABLE)


def test_the_core_never_imports_gradio():
    files = list((ROOT / "inpaint").glob("**/*.py"))
    assert len(files) > 15
    assert not [f for f in files if "gradio" in imports(f, top_only=False)]


def test_the_loop_fits_one_page():
    assert len((ROOT / "inpaint" / "sampling.py").read_text().splitlines()) <= 170


def test_importing_inpaint_is_light():
    code = f"import sys, inpaint; print(sorted({HEAVY!r} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_all_names_are_public_and_real():
    code = "import inpaint; [getattr(inpaint, n) for n in inpaint.__all__]; print(len(inpaint.__all__))"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(out.stdout) >= 10
