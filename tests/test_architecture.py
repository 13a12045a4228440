"""Check the architecture: which of our folders and other packages each file may import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "scipy", "diffusers", "transformers", "accelerate", "peft", "gradio"}

# Each folder or file may import those after it, never those before it; those of one line not each other.
ORDER = {
    "inpaint": [
        ["__main__"],
        ["cli"],
        ["batch"],
        ["inpainter"],
        ["pipeline"],
        ["models", "result"],
        ["unet", "pixels"],
        ["request"],
        ["files"],
        ["memory", "diffusion", "options"],
        ["paths", "errors"],
    ],
    "page": [
        ["main"],
        ["layout", "arguments"],
        ["mcp"],
        ["paint", "how_it_works", "batch", "api"],
        ["server"],
        ["limits", "session"],
        ["jobs"],
        ["images", "filenames", "storage"],
        ["words"],
    ],
}

# What each folder or file may import at its top beside the standard library; heavier things only where they are used.
NUMPY, TORCH = {"PIL", "numpy"}, {"PIL", "numpy", "torch"}
PACKAGES = {
    "__init__": set(),
    "__main__": set(),
    "batch": set(),
    "cli": {"anyio"},  # the MCP server
    "diffusion": {"torch"},
    "errors": set(),
    "files": {"PIL", "numpy"},
    "inpainter": {"torch"},
    "memory": {"torch"},
    "models": {"torch"},
    "options": set(),
    "paths": set(),
    "pipeline": TORCH,
    "pixels": NUMPY,
    "request": {"PIL"},
    "result": set(),
    "unet": {"torch"},
}


def sources(top: str) -> list[Path]:
    files = sorted((ROOT / top).rglob("*.py"))
    assert len(files) > 20
    return files


def room(path: Path, top: str) -> str:
    """The entry at the top of the package that a file belongs to: its folder, or its own name."""
    return path.relative_to(ROOT / top).parts[0].removesuffix(".py")


def imported(path: Path, top_only: bool) -> Iterator[str]:
    """The dotted names that a file imports; inside functions too unless `top_only`."""
    package = list(path.relative_to(ROOT).parts[:-1])
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            yield from (".".join([*base, alias.name]) for alias in node.names)


def arrows(top: str) -> set[tuple[str, str, str]]:
    """(top, from, to) for each import between two rooms of a package."""
    rooms = {room(path, top) for path in sources(top)}
    found = set()
    for path in sources(top):
        for name in imported(path, top_only=False):
            first, _, rest = name.partition(".")
            to = rest.split(".")[0]
            if first == top and to in rooms and to != room(path, top):
                found.add((top, room(path, top), to))
    return found


@pytest.mark.parametrize("top", ORDER)
def test_imports_run_one_way(top):
    rank = {name: i for i, line in enumerate(ORDER[top]) for name in line}
    rooms = {room(path, top) for path in sources(top)} - {"__init__"}
    assert rooms <= set(rank), f"no place in the order yet: {rooms - set(rank)}"
    assert not {(a, b) for _, a, b in arrows(top) if a != "__init__" and rank[a] >= rank[b]}


def test_each_module_imports_only_the_packages_of_its_folder():
    for path in sources("inpaint"):
        found = (
            {name.split(".")[0] for name in imported(path, top_only=True)}
            - set(sys.stdlib_module_names)
            - {"inpaint"}
        )
        assert found <= PACKAGES[room(path, "inpaint")], (path, found)


def test_the_core_never_imports_gradio_nor_the_page():
    for path in sources("inpaint"):
        assert not {"gradio", "page", "app"} & {name.split(".")[0] for name in imported(path, top_only=False)}, path


def test_the_top_of_the_library_is_small():
    assert len({room(path, "inpaint") for path in sources("inpaint")}) <= 18


def test_the_loop_fits_one_page():
    assert len((ROOT / "inpaint" / "diffusion" / "sampling.py").read_text().splitlines()) <= 200


def test_importing_inpaint_is_light():
    code = f"import sys, inpaint; print(sorted({HEAVY!r} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_all_names_are_public_and_real():
    code = "import inpaint; [getattr(inpaint, n) for n in inpaint.__all__]; print(len(inpaint.__all__))"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(out.stdout) >= 10
