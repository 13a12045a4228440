"""Run cases through Python: `Through(folder).run(case)` raises the program's error or returns a right result."""

from __future__ import annotations

import secrets
from pathlib import Path

import inpaint
from inpaint import Picture, Request
from inpaint.models.loading import source
from tests.robustness.hostile.cases import Case
from tests.robustness.hostile.verdict import Wrong, right


class Through:
    """A toy painter, and a folder for the files that must be files."""

    def __init__(self, folder: Path):
        self.folder, self.painter = folder, inpaint.load("toy")

    def run(self, case: Case) -> float:
        """Run the case; return the megapixels of the largest picture painted."""
        self.megapixels = 0.0
        read = {"record": self.result, "words": self.result, "weights": self.weights}
        read.get(case.kind, self.request)(case)
        return self.megapixels

    def request(self, case: Case) -> None:
        self.opens(case)
        self.paint(Request(picture=case.picture, mask=case.mask, **case.settings))

    def paint(self, request: Request) -> None:
        """Painted, compared and made a file, which opens again with the same pixels."""
        result = self.painter(request)
        self.megapixels = max(self.megapixels, *(image.width * image.height / 1e6 for image in result.images), 0.0)
        right(result, request)
        again = Picture.open(result.to_bytes("PNG"))
        if again.rgb.tobytes() != result.image.convert("RGB").tobytes():
            raise Wrong("the saved picture is another one")

    def opens(self, case: Case) -> None:
        """An oddity opens as what it is, or does not."""
        if case.must == ():
            return
        opened = Picture.open(case.picture)
        if case.must is None:
            raise Wrong("opened what is no picture")
        if opened.size != case.must:
            raise Wrong(f"opened as {opened.size} where {case.must} is right")

    def result(self, case: Case) -> None:
        """A saved result, or what says that it is one, repeated."""
        from dataclasses import replace

        from tests.robustness.hostile.values import cheap

        request = replace(Request.from_image(case.file), **cheap({}))
        if request.mask is None and request.picture is not None:
            request = replace(request, mask=request.picture.rgb.convert("L"))
        self.paint(request)

    def weights(self, case: Case) -> None:
        """As a model, as a VAE and as a LoRA: each of them must say no."""
        from inpaint import ModelError
        from inpaint.models import lora

        path = self.folder / f"{secrets.token_hex(4)}.safetensors"
        path.write_bytes(case.file)
        try:
            for read in (lambda: lora.read(str(path)), lambda: source((str(path),), only="vae")):
                try:
                    read()
                except ModelError:
                    continue
                raise Wrong("took a file that is no model")
            inpaint.load(str(path))
            raise Wrong("loaded a file that is no model")
        finally:
            path.unlink()


def warm() -> None:
    """Spend what only the first call of a process costs: importing the libraries, seconds."""
    import diffusers
    import safetensors.torch

    assert diffusers.AutoencoderKL and diffusers.loaders.StableDiffusionLoraLoaderMixin and safetensors.torch
    assert diffusers.UniPCMultistepScheduler
