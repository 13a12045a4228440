"""Check that the README is true: its code, its program, its files, its folders."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_every_quoted_line_stands_in_the_loop():
    code = (ROOT / "inpaint" / "diffusion" / "sampling.py").read_text()
    table = README.split("| equation |")[1].split("\n\n")[0].splitlines()[2:]
    quoted = [re.findall(r"`([^`]+)`", row)[-1] for row in table]
    assert len(quoted) == 7
    for line in quoted:
        assert line in code, line


@pytest.mark.slow
def test_the_six_lines_run(tmp_path, monkeypatch):
    program = re.search(r"```python\n(.*?)```", README, re.S)[1]
    monkeypatch.chdir(ROOT)
    program = program.replace('"out.png"', repr(str(tmp_path / "out.png")))
    scope = {}
    exec(program, scope)
    assert scope["result"].report["max_change_outside"] == 0 and (tmp_path / "out.png").exists()
    assert len(scope["steps"]) == 20


def test_every_linked_file_exists():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert len(links) >= 4
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_tree_is_the_folders():
    """Every folder of the library and the page has its line, and every name in the tree is a file or folder there."""
    tree = README.split("## Where things are")[1].split("```")[1]
    folder, listed = ROOT, set()
    for line in tree.strip().splitlines():
        names, words = line[:24].split(), line[24:]
        top = not line.startswith(" ")
        for name in names:
            path = (ROOT if top else folder) / name
            assert path.is_dir() == name.endswith("/") and path.exists(), path
            listed.add(path.relative_to(ROOT).as_posix())
        if top and len(names) == 1:
            folder = ROOT / names[0]
        if not top and names[0].endswith("/"):
            modules = {path.stem for path in (folder / names[0]).glob("*.py")}
            told = {word.strip() for word in re.split(r"[,·]", re.sub(r"\(.*?\)", "", words.split(": ", 1)[1]))}
            assert {word.split(": ")[-1] for word in told} - {"English and Chinese"} <= modules, names
    for top in ("inpaint", "page"):
        found = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / top).rglob("*.py")}
        assert found <= listed, found - listed
    assert len(tree.splitlines()) < 40


def test_the_library_fits_its_house():
    entries = [path for path in (ROOT / "inpaint").iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 18, sorted(path.name for path in entries)
