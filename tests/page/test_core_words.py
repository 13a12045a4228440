"""Check that the core's sentences are Chinese on a Chinese page, with all their numbers and names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from PIL import Image

from inpaint import InpaintError, InvalidRequest, Request

ROOT = Path(__file__).resolve().parents[2] / "inpaint"
# whose sentences a visitor meets; the others speak to whoever starts the program or writes one
MET = (
    "options.py",
    "pixels",
    "pipeline",
    "files/mask_file.py",
    "files/picture.py",
    "files/pixel_modes.py",
    "memory/policy.py",
)
UNMET = {  # of these files, what only programs and command lines are told
    "Choose one of: auto, low, {}.",
}
CHINESE = re.compile("[\u4e00-\u9fff]")


def template(node: ast.expr) -> str:
    """Return a text with {} for what is filled in."""
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(parts):
            return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in parts)
        case ast.BinOp(left, ast.Add(), right):
            return template(left) + template(right)
    return "{}"


def sentences(path: Path) -> set[str]:
    """The sentences that errors and notes are made of."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
    texts = {template(node) for node in ast.walk(tree) if isinstance(node, (ast.Constant, ast.JoinedStr))} - docs
    return {text for text in texts if re.fullmatch(r"([A-Z]|{}).* .*\.", text) and re.search("[a-z]{3}", text)}


@pytest.mark.parametrize("where", MET)
def test_every_sentence_that_a_visitor_meets_has_a_chinese_one(where):
    from page.words.core import CHINESE as known

    path = ROOT / where
    found = set().union(*map(sentences, sorted(path.rglob("*.py")) if path.is_dir() else [path]))
    missing = {text for text in found - UNMET if text not in known}
    assert found and not missing, f"add these to page/words/core.py: {sorted(missing)}"


def test_patterns_and_their_chinese_take_the_same_parts():
    from page.words.core import CHINESE as known

    for english, chinese in known.items():
        parts = set(range(english.count("{}")))
        assert {int(n) for n in re.findall(r"{(\d)}", chinese)} == parts, english
        assert CHINESE.search(chinese), english


def raised(action) -> InpaintError:
    with pytest.raises(InpaintError) as error:
        action()
    return error.value


def test_real_errors_are_chinese_and_name_what_was_wrong():
    from page.words.core import in_words, translated

    picture = Image.new("RGB", (8, 8))
    wrong = raised(lambda: Request("", picture, steps=999))
    assert in_words(wrong, "zh") == "步数为 999。请选择 1 到 150 之间的值。" and in_words(wrong, "en") == str(wrong)
    assert (
        in_words(raised(lambda: Request("", picture, eta=7)), "zh") == "Eta为 7.0。请选择 0 到 1 之间的值，或 auto。"
    )
    assert "应为整数" in in_words(raised(lambda: Request("", picture, steps="x")), "zh")
    assert in_words(InvalidRequest("x", "Never heard of.", "Nor of this."), "zh") == "Never heard of.Nor of this."
    for strange in ("The model x is quantized, which is not supported.", "This step cannot be done."):
        assert translated(strange, "zh") == strange, "rather English than half of it"
    note = "The mask was 20 × 10 pixels; it is resized to the picture's size."
    assert translated(note, "zh") == "蒙版为 20 × 10 像素，已调整为图片大小。" and translated(note, "en") == note


def test_what_the_hub_a_file_or_a_batch_is_refused_for_is_chinese(tmp_path):
    import errno

    import httpx
    from huggingface_hub import errors

    from inpaint.batch import pair
    from inpaint.models.download import Cut, Damaged
    from inpaint.models.hub_errors import explain
    from page.words.core import translated

    def answered(status: int, kind=errors.HfHubHTTPError) -> Exception:
        return kind("", response=httpx.Response(status, request=httpx.Request("GET", "http://hub")))

    faults = [answered(status) for status in (401, 403, 404, 429, 500, 503)]
    faults += [answered(403, errors.GatedRepoError), answered(404, errors.RepositoryNotFoundError)]
    faults += [Cut("file", 5 << 20, size) for size in (9 << 20, None)] + [
        Damaged(""),
        ValueError(),
        ConnectionError(),
    ]
    faults += [OSError(errno.ENOSPC, ""), OSError(errno.EACCES, "denied", "folder")]
    told = [sentence for fault in faults for sentence in explain(fault, "owner/name")]
    told += explain(ConnectionError(), "owner/name", offline=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    told += [item.problem for item in pair([tmp_path / "one.png"], [tmp_path / "two.png"])]
    told += ["photo.tif is damaged: its tiles are larger than the picture.", "This is a HEIC picture."]
    for sentence in told:
        chinese = translated(sentence, "zh")
        assert CHINESE.search(chinese), sentence
        assert ("owner/name" in chinese) is ("owner/name" in sentence), sentence
