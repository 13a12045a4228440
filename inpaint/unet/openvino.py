"""Run a UNet with OpenVINO: convert it once for all picture sizes, cache it on disk, compile it for this CPU.

The cache is the folder openvino/ beside the weights, or the user's cache folder if nothing can be written there.  The
VAE stays in torch, which decodes as quickly (bench/README.md).
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import warnings
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..files import fingerprint
from ..memory import paging
from .forward import UNet

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

RECIPE = 3  # raised whenever `convert` changes, so that files converted by an older version are not used
log = logging.getLogger("inpaint")


def library() -> Any:
    """Import OpenVINO without its telemetry package, which reports to Google Analytics."""
    modules: dict[str, Any] = sys.modules
    modules.setdefault("openvino_telemetry", None)  # makes OpenVINO's import of it fail
    import openvino

    return openvino


class Float32Wrapper(nn.Module):
    """The UNet with float32 inputs and outputs, since numpy has no bfloat16; it returns the deep features too."""

    def __init__(self, network: UNet2DConditionModel):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, t: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        dtype = self.network.dtype
        out, deep = UNet(self.network)(x.to(dtype), t, text.to(dtype))
        return out.float(), deep.float()


def example(network: UNet2DConditionModel, n: int, h: int, w: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return random inputs (x [1, c, h, w], t, text [n, 77, d]), always the same; torch's global seed is not used."""
    config, generator = network.config, torch.Generator().manual_seed(0)
    return (
        torch.randn(1, config.in_channels, h, w, generator=generator),
        torch.tensor(501.0),
        torch.randn(n, 77, config.cross_attention_dim, generator=generator),
    )


@torch.no_grad()
def convert(network: UNet2DConditionModel) -> Any:
    """Convert a network to an OpenVINO model that takes inputs of any size.

    It is traced with one picture and two texts, as with guidance, so that what both share is computed once.
    OpenVINO's own `convert_model` would do the same, but send telemetry.
    """
    openvino = library()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    side, config = 2 ** len(network.config.block_out_channels), network.config
    with warnings.catch_warnings():
        # the tracer warns about sizes that it takes for constants; `relative_error` checks that they are right
        warnings.simplefilter("ignore")
        decoder = TorchScriptPythonDecoder(
            Float32Wrapper(network).eval(), example_input=example(network, 2, side, side + 2)
        )
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    shapes: tuple[list[int], ...] = ([-1, config.in_channels, -1, -1], [], [-1, -1, config.cross_attention_dim])
    model.reshape({model.input(k): openvino.PartialShape(shape) for k, shape in enumerate(shapes)})
    return model


class Compiled:
    """A compiled UNet: (x [B, c, h, w], t, text [N, k, d]) -> (prediction, deep features), in the network's dtype.

    It also computes in that dtype, on as many threads as torch has.
    """

    def __init__(self, model: Any, dtype: torch.dtype):
        self.file = model if isinstance(model, Path) else None
        precision = {torch.bfloat16: "bf16", torch.float32: "f32"}[dtype]
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # with pinning, two processes would share the same core
        }
        self.dtype, self.network = dtype, library().Core().compile_model(model, "CPU", settings)

    def __call__(self, x: Tensor, t: float | Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        inputs = (x, torch.as_tensor(t), text)
        outputs = self.network([each.float().contiguous().numpy() for each in inputs])
        out, deep = (torch.from_numpy(outputs[k]).to(self.dtype) for k in (0, 1))
        return out, deep

    def page_out(self) -> None:
        """Page out the file's weights: after a pass OpenVINO holds a second, reordered copy."""
        if self.file:
            paging.page_out_file(self.file.with_suffix(".bin"))


@torch.no_grad()
def reference(network: UNet2DConditionModel) -> Tensor:
    """Return torch's output for a small example whose size differs from the traced one."""
    return Float32Wrapper(network)(*example(network, 1, 16, 24))[0]


def relative_error(run: Compiled, network: UNet2DConditionModel, reference: Tensor) -> float:
    """Return |run - reference| / |reference| for the example that `reference` used."""
    return float((run(*example(network, 1, 16, 24))[0].float() - reference).norm() / reference.norm())


def cached(network: UNet2DConditionModel, files: list[Path], afresh: bool) -> Any:
    """Return the path of the converted network; convert it first if it is not cached, or if `afresh`.

    If no cache folder can be written, return the converted model itself.
    """
    dtype, stamp = str(network.dtype).removeprefix("torch."), fingerprint.of_files(files)
    family = f"{files[0].stem}-{network.config.in_channels}-{dtype}-"
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    places = [
        place / f"{family}{stamp}-{version('openvino')}-{RECIPE}.xml"
        for place in (files[0].parent / "openvino", caches / "inpaint" / "openvino" / stamp)
    ]
    if not afresh:
        for path in places:
            if _is_intact(path):
                return path
    log.info("The UNet is converted for OpenVINO, once.")
    model = convert(network)
    for path in places:
        with suppress(OSError, RuntimeError):  # the disk is read-only or full
            save(model, path, family)
            return path
    return model


def save(model: Any, path: Path, family: str) -> None:
    """Write the model completely or not at all; delete files of older weights or another OpenVINO version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
    for old in path.parent.glob(f"{family}*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    with tempfile.TemporaryDirectory(prefix=family, dir=path.parent) as fresh:
        library().save_model(model, Path(fresh) / path.name, compress_to_fp16=False)
        (Path(fresh) / path.name).with_suffix(".sum").write_text(_digest(Path(fresh) / path.name), encoding="utf-8")
        for suffix in (".sum", ".bin", ".xml"):
            os.replace((Path(fresh) / path.name).with_suffix(suffix), path.with_suffix(suffix))


def _is_intact(path: Path) -> bool:
    """Return whether the files are as they were saved; OpenVINO could use any amount of memory on damaged ones."""
    try:
        return path.with_suffix(".sum").read_text(encoding="utf-8") == _digest(path)
    except (OSError, ValueError):
        return False


def _digest(path: Path) -> str:
    return fingerprint.of_all((path, path.with_suffix(".bin")))
