"""Check the page without a browser: queue, sessions, limits, words, models."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests import gradio_aside

pytestmark = gradio_aside.warnings

ROOT = Path(__file__).resolve().parents[2]


def test_only_uploaded_files_can_be_opened(tmp_path, monkeypatch):
    from inpaint import UnreadablePicture
    from page.paint.opening import SALT, taken

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "mine"))
    (tmp_path / "mine" / "abc").mkdir(parents=True)
    (tmp_path / "mine" / "sessions" / "x").mkdir(parents=True)
    for path in (tmp_path / "secret.png", tmp_path / "mine" / "sessions" / "x" / "other.png"):
        path.write_bytes(b"secret")
        with pytest.raises(UnreadablePicture):
            taken(str(path))
    for path in ("", "/etc/passwd", str(tmp_path / "mine"), str(tmp_path / "mine" / ".." / "secret.png")):
        with pytest.raises(UnreadablePicture):
            taken(path)
    (tmp_path / "mine" / "abc" / "photo.png").write_bytes(b"photo" + bytes(SALT))
    assert taken(str(tmp_path / "mine" / "abc" / "photo.png")) == b"photo"
    assert not (tmp_path / "mine" / "abc").exists(), "the stored copy goes at once"


def test_every_word_is_there_in_both_languages():
    from page.words.options import OPTIONS, option_words
    from page.words.say import for_page
    from page.words.sentences import WORDS

    words = {**WORDS, **option_words()}
    for key, (english, chinese) in words.items():
        assert english and chinese, key
        assert set(re.findall(r"{(\w+)", english)) == set(re.findall(r"{(\w+)", chinese)), key
    from inpaint.request import options

    assert set(OPTIONS) - set(options()) == set(), "words for an option that is gone"
    script = "\n".join(path.read_text() for path in (ROOT / "assets/page").glob("*.js"))
    used = set(re.findall(r'say\("(\w+)"', script))
    used |= set(re.findall(r'(?:button|menuButton)\("[^"]*", (?:"\w+"|null), "(\w+)"', script))
    used |= set(re.findall(r'(?:slider|item)\("(\w+)"', script))
    assert len(used) > 40 and used <= set(for_page()["en"]), used - set(for_page()["en"])


def test_the_equations_point_at_their_lines():
    from page.how_it_works import EQUATIONS, equations, line_of, source

    assert len({line_of(text) for _, _, text in EQUATIONS}) == len(EQUATIONS)
    for _, _, text in EQUATIONS:
        assert f"#line-{line_of(text)}" in equations() and f"id='line-{line_of(text)}'" in source()


def test_a_forged_mask_is_one_sentence():
    from inpaint import InvalidRequest
    from page.images import mask_from

    assert mask_from(None, (8, 8)) is None
    for address in (
        "x",
        "data:image/png;base64,AAAA",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:image/png;base64,!!",
        7,
        ["x"],
    ):
        with pytest.raises(InvalidRequest, match="mask did not arrive"):
            mask_from(address, (8, 8))


def test_building_the_page_imports_nothing_heavy():
    program = (
        "import sys; sys.path.insert(0, '.'); from page.main import environment; environment()\n"
        "from page.server import gradio_startup as quick; quick.install()\n"
        "from page.layout import Page; from page.limits import Limits\n"
        "with quick.one_app(): Page(Limits(), 'toy').build()\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'scipy'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_display_copy_is_small_and_keeps_transparency():
    import base64

    from inpaint import Picture
    from page.images import shown_picture

    picture = Image.new("RGBA", (3000, 1000), (200, 30, 30, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 1500, 1000))
    address = shown_picture(Picture.open(picture))
    image = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
    assert image.size == (2449, 816) and image.mode == "RGBA" and image.getpixel((10, 10))[3] == 0


def test_a_preset_for_few_steps_moves_the_controls_that_it_sets():
    import gradio as gr

    from inpaint.diffusion.presets import PRESETS, SETTINGS
    from inpaint.request import options
    from page.limits import Limits
    from page.paint.controls import Controls

    with gr.Blocks():
        controls = Controls(Limits(), ["toy"], "toy")
    defaults = {name: options()[name].default for name in SETTINGS}
    for preset in options()["preset"].metadata["choices"]:
        shown = [update["value"] for update in controls.few_steps(preset)]
        assert all(controls.fits(*pair) for pair in zip(SETTINGS, shown, strict=True))
        values = {name: component.value for name, component in controls.by_name.items()} | dict(
            zip(SETTINGS, shown, strict=True)
        )
        asked = controls.settings(values.values())
        assert {name: asked[name] for name in SETTINGS} == {**defaults, **PRESETS.get(preset, {})}
