"""Run stable-diffusion.cpp (github.com/leejet/stable-diffusion.cpp) through its Python package, for comparison.

pip install --no-deps stable-diffusion-cpp-python    builds it from source for this processor, in some minutes
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image


class StableCpp:
    """stable-diffusion.cpp on a model folder in diffusers' layout; it counts the seconds of its steps.

    It computes with the weights as they are on disk, here bfloat16, on as many threads as torch has.
    """

    quiet = None  # replaces a run's callback afterwards, since the library calls it again when it reads a model

    def __init__(self, prompt: str, negative: str, guidance: float, folder: Path, method: str):
        from stable_diffusion_cpp import StableDiffusion, stable_diffusion_cpp

        self.kept = tempfile.TemporaryDirectory(prefix="stable-cpp-")
        lay_out(folder, method, Path(self.kept.name))
        self.library = stable_diffusion_cpp
        StableCpp.quiet = StableCpp.quiet or stable_diffusion_cpp.sd_progress_callback(lambda *_: None)
        self.asked = {"prompt": prompt, "negative_prompt": negative, "cfg_scale": guidance}
        self.model = StableDiffusion(model_path=self.kept.name, n_threads=torch.get_num_threads(), verbose=False)

    def __call__(self, picture: Image.Image, hole: Image.Image, steps: int, size: tuple[int, int]) -> dict:
        """Run it once; return the seconds in total and in its steps, each of which calls the UNet twice."""
        seconds: dict[int, float] = {}

        def progress(step: int, count: int, taken: float) -> None:
            if step and count == steps:
                seconds[step] = taken

        began = time.perf_counter()
        self.model.generate_image(
            **self.asked,
            init_image=picture,
            mask_image=hole,
            strength=1.0,
            sample_steps=steps,
            width=size[0],
            height=size[1],
            sample_method="ddim_trailing",
            seed=1,
            progress_callback=progress,
        )
        total = time.perf_counter() - began
        self.library.sd_set_progress_callback(self.quiet, None)
        if len(seconds) != steps:
            raise SystemExit(f"stable-diffusion.cpp reported {len(seconds)} steps, not {steps}.")
        return {"total": total, "unet": sum(seconds.values()), "calls": steps, "steps": steps}


def lay_out(folder: Path, method: str, into: Path) -> None:
    """Write the model in that program's layout: one UNet, and a text encoder whose names begin with text_model."""
    from safetensors.torch import load_file, save_file

    unet = "unet_inpainting" if method == "inpaint" else "unet"
    for name, part in {"unet": unet, "vae": "vae"}.items():
        os.symlink(folder / part, into / name)
    (into / "text_encoder").mkdir()
    for file in (folder / "text_encoder").glob("*.safetensors"):
        named = {f"text_model.{name.removeprefix('text_model.')}": w for name, w in load_file(file).items()}
        save_file(named, into / "text_encoder" / file.name, {"format": "pt"})
