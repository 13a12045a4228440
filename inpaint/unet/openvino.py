"""A UNet as OpenVINO runs it: converted once for pictures of every size, kept on disk, compiled for this processor.

It is kept in openvino/ beside its weights, or in the user's cache where nothing can be written there.  The VAE stays
in torch, which decodes as quickly (bench/README.md).
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

import torch
from torch import Tensor, nn

from ..files import fingerprint
from ..memory import paging
from .forward import UNet, once

RECIPE = 2  # another number when `converted` gives something else
log = logging.getLogger("inpaint")


def library():
    """The package, without the one beside it that reports to Google Analytics what it is used for."""
    sys.modules.setdefault("openvino_telemetry", None)  # it imports this if it can
    import openvino

    return openvino


class Doors(nn.Module):
    """The UNet with float32 at its doors, since numpy has no bfloat16, and with the features of a full step."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, t: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        dtype = self.network.dtype
        out, deep = UNet(self.network)(x.to(dtype), t, text.to(dtype))
        return out.float(), deep.float()


def example(network: nn.Module, n: int, h: int, w: int) -> tuple[Tensor, Tensor, Tensor]:
    """(x [1, c, h, w], t, text [n, 77, d]), always the same; the global generator stays as it is."""
    config, dice = network.config, torch.Generator().manual_seed(0)
    return (
        torch.randn(1, config.in_channels, h, w, generator=dice),
        torch.tensor(501.0),
        torch.randn(n, 77, config.cross_attention_dim, generator=dice),
    )


@torch.no_grad()
def converted(network: nn.Module):
    """OpenVINO's model of this network, of any size.

    Traced with one picture for two texts, as guidance asks, so that what they share stays shared.  Its own
    `convert_model` would do the same, and report that it did.
    """
    openvino = library()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    side, config = 2 ** len(network.config.block_out_channels), network.config
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, about sizes it takes for constants: `difference` would tell
        decoder = TorchScriptPythonDecoder(Doors(network).eval(), example_input=example(network, 2, side, side + 2))
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    shapes = ([-1, config.in_channels, -1, -1], [], [-1, -1, config.cross_attention_dim])
    model.reshape({model.input(k): openvino.PartialShape(shape) for k, shape in enumerate(shapes)})
    return model


class Compiled:
    """(x [n, c, h, w], t, text [n, k, d]) -> (what the network predicts, its deep features), of the network's dtype.

    It computes in that dtype too, on as many threads as torch has.
    """

    def __init__(self, model, dtype: torch.dtype):
        self.file = model if isinstance(model, Path) else None
        precision = {torch.bfloat16: "bf16", torch.float32: "f32"}[dtype]
        self.dtype, self.network = (
            dtype,
            library()
            .Core()
            .compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": precision,
                    "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                    "PERFORMANCE_HINT": "LATENCY",
                    "ENABLE_CPU_PINNING": False,
                },
            ),
        )  # pinned, two processes take the same core

    def __call__(self, x: Tensor, t: float, text: Tensor) -> tuple[Tensor, Tensor]:
        given = (once(x), torch.as_tensor(t), text)
        found = self.network([each.float().contiguous().numpy() for each in given])
        return tuple(torch.from_numpy(found[k]).to(self.dtype) for k in (0, 1))

    def rest(self) -> None:
        """After a pass its weights stand in memory in an order of OpenVINO's own: those of the file can go."""
        if self.file:
            paging.rest_file(self.file.with_suffix(".bin"))


@torch.no_grad()
def truth(network: nn.Module) -> Tensor:
    """What torch says on a small input of another size than was traced."""
    return Doors(network)(*example(network, 1, 16, 24))[0]


def difference(run: Compiled, network: nn.Module, truth: Tensor) -> float:
    """|run's - torch's| / |torch's| on that input."""
    return float((run(*example(network, 1, 16, 24))[0].float() - truth).norm() / truth.norm())


def kept(network: nn.Module, files: list[Path], anew: bool):
    """The file of this network's conversion, made if it is not there; without a place to write, the model itself."""
    dtype, stamp = str(network.dtype).removeprefix("torch."), fingerprint.of_files(files)
    family = f"{files[0].stem}-{network.config.in_channels}-{dtype}-"
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    places = [
        place / f"{family}{stamp}-{version('openvino')}-{RECIPE}.xml"
        for place in (files[0].parent / "openvino", caches / "inpaint" / "openvino" / stamp)
    ]
    if not anew:
        for path in places:
            if _sound(path):
                return path
    log.info("The UNet is converted for OpenVINO, once.")
    model = converted(network)
    for path in places:
        with suppress(OSError, RuntimeError):  # read-only, or full
            save(model, path, family)
            return path
    return model


def save(model, path: Path, family: str) -> None:
    """Whole or not at all; what an older version of the weights or of OpenVINO left there under this name goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / ".gitignore").write_text("*\n")
    for old in path.parent.glob(f"{family}*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    with tempfile.TemporaryDirectory(prefix=family, dir=path.parent) as fresh:
        library().save_model(model, Path(fresh) / path.name, compress_to_fp16=False)
        (Path(fresh) / path.name).with_suffix(".sum").write_text(_digest(Path(fresh) / path.name))
        for suffix in (".sum", ".bin", ".xml"):
            os.replace((Path(fresh) / path.name).with_suffix(suffix), path.with_suffix(suffix))


def _sound(path: Path) -> bool:
    """Whether a conversion is there as it was saved: of a spoilt one the library may ask for any amount of memory."""
    try:
        return path.with_suffix(".sum").read_text() == _digest(path)
    except (OSError, ValueError):
        return False


def _digest(path: Path) -> str:
    return fingerprint.of_all((path, path.with_suffix(".bin")))
