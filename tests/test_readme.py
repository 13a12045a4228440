"""The README is true: its lines stand in the code, its program runs, its files exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_every_quoted_line_stands_in_the_loop():
    code = (ROOT / "inpaint" / "diffusion" / "sampling.py").read_text()
    table = README.split("| equation |")[1].split("\n\n")[0].splitlines()[2:]
    quoted = [re.findall(r"`([^`]+)`", row)[-1] for row in table]
    assert len(quoted) == 7
    for line in quoted:
        assert line in code, line


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
