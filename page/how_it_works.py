"""Build the How-it-works tab: a step of the last run in pictures, and the equations with their lines of code."""

from __future__ import annotations

import html
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

import inpaint

from . import images
from .words.say import i18n, language, say

if TYPE_CHECKING:
    from inpaint import Step

SOURCE = Path(inpaint.__file__).parent / "diffusion" / "sampling.py"
EQUATIONS = (  # (name, TeX, the text of the line of code that computes it)
    (
        "noise",
        r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon",
        "return a_t**0.5 * x0 + (1 - a_t) ** 0.5 * noise",
    ),
    (
        "blend",
        r"x_t \leftarrow x_t^{\text{orig}} \cdot \text{keep} + (1-\text{keep}) \cdot x_t",
        "return x_orig * keep + (1 - keep) * x",
    ),
    (
        "input",
        r"\text{UNet}\big([x_t,\ \text{hole},\ x_0^{\text{masked}}],\ t\big)",
        "return torch.cat([x, context",
    ),
    (
        "guidance",
        r"\epsilon = \epsilon_\varnothing + w\,(\epsilon_{\text{text}} - \epsilon_\varnothing)",
        "out = none + w * (cond - none)",
    ),
    (
        "predict",
        r"\hat x_0 = \frac{x_t - \sqrt{1-\bar\alpha_t}\,\epsilon}{\sqrt{\bar\alpha_t}}",
        "pred_x0 = (x - (1 - a_t) ** 0.5 * eps) / a_t**0.5",
    ),
    (
        "step",
        r"x_{t-1} = \sqrt{\bar\alpha_{t-1}}\,\hat x_0 + \sqrt{1-\bar\alpha_{t-1}-\sigma^2}\,\epsilon + \sigma z",
        "x_prev = a_prev**0.5 * pred_x0 + dir_xt",
    ),
)


@cache
def lines() -> list[str]:
    return SOURCE.read_text(encoding="utf-8").splitlines()


def line_of(text: str) -> int:
    """Return the number of the first line with this text; a test checks that each of EQUATIONS has one."""
    return next(n for n, line in enumerate(lines(), 1) if text in line)


def equations() -> str:
    """Return Markdown: every equation with a link to its line."""
    return "\n\n".join(
        f"$${tex}$$\n[`{SOURCE.name}:{line_of(text)}`](#line-{line_of(text)}) `{text.strip()}`"
        for _, tex, text in EQUATIONS
    )


def source() -> str:
    """Return HTML: the whole of sampling.py with an anchor on every line; lines of EQUATIONS are highlighted."""
    cited = {line_of(text) for _, _, text in EQUATIONS}
    rows = (
        f"<span id='line-{n}' class='{'cited' if n in cited else ''}'><i>{n}</i>{html.escape(line) or ' '}</span>"
        for n, line in enumerate(lines(), 1)
    )
    name = "inpaint/diffusion/sampling.py"
    return f"<pre class='source' tabindex='0' aria-label='{name}'><code>{''.join(rows)}</code></pre>"


class Learn:
    """The handlers of the tab."""

    def __init__(self, page):
        self.page = page

    def load(self, request: gr.Request):
        """Return the slider's range for the last run, and the figures of its first step."""
        film = self.film(request)
        if not film:
            return gr.update(visible=False), nothing(language(request))
        slider = gr.update(visible=True, minimum=1, maximum=len(film), value=1)
        return slider, self.figures(film, 0, language(request))

    def show(self, request: gr.Request, step: float):
        film = self.film(request)
        return self.figures(film, int(step) - 1, language(request)) if film else nothing(language(request))

    def film(self, request: gr.Request) -> list[Step]:
        """Return the steps of the visitor's last run that are still kept."""
        steps = [preview.step for preview in self.page.sessions.of(request).film]
        return [step for step in steps if step is not None]

    def figures(self, film: list[Step], k: int, words: str) -> str:
        """Return HTML: the six pictures of step k, or of the nearest kept step."""
        step = film[min(max(k, 0), len(film) - 1)]
        scene = step.scene
        photo = scene.request.picture
        profile = photo.icc if photo else None
        pictures = {
            "learn_picture": scene.picture,
            "learn_mask": scene.hole,
            "learn_latent_mask": scene.latent_hole(),
            "learn_seen": scene.look(step.seen[:1]),
            "learn_x0": scene.look(step.pred_x0[:1]),
            "learn_x": scene.look(step.x[:1]),
        }
        cards = "".join(
            f"<figure><img alt='' src='{sized(image, profile)}'><figcaption>{html.escape(say(key, words))}"
            "</figcaption></figure>"
            for key, image in pictures.items()
            if image is not None
        )
        where = f"t = {step.t:.0f} · {step.index + 1} / {step.total}"
        return f"<p class='t'>{where}</p><div class='figures'>{cards}</div>"


def sized(image: Image.Image, profile: bytes | None) -> str:
    """Return a `data:` address of the image at 256 px, colours in sRGB; latents keep their cells visible."""
    kind = Image.Resampling.NEAREST if max(image.size) < 200 else Image.Resampling.BICUBIC
    scale = 256 / max(image.size)
    colours = images.in_srgb(image, profile) if image.mode == "RGB" else image.convert("RGB")
    return images.shown(colours.resize([max(1, round(n * scale)) for n in image.size], kind))


def nothing(words: str) -> str:
    return f"<p class='t'>{html.escape(say('learn_about', words))}</p>"


def learn_tab(page) -> None:
    """Build the tab: pictures of one step above, equations and the source below."""
    word, learn = i18n(), Learn(page)
    with gr.Column(elem_classes="sheet", elem_id="learn"):
        step = gr.Slider(1, 20, 1, step=1, label=word("learn_step"), visible=False, elem_id="learn-step")
        figures = gr.HTML(elem_id="learn-figures", apply_default_css=False)
        with gr.Row():
            gr.Markdown(
                equations(), latex_delimiters=[{"left": "$$", "right": "$$", "display": True}], elem_id="equations"
            )
            gr.HTML(source(), apply_default_css=False, elem_id="source")
    free: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
    page.learn_tab.select(learn.load, None, [step, figures], **free)
    step.input(learn.show, step, figures, **free)
