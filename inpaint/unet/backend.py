"""Which library runs a UNet on a CPU: torch, or OpenVINO where it is installed, pays and agrees with torch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..memory import device, paging
from ..memory.policy import Policy
from . import forward, openvino

BACKENDS = ("auto", "torch", "openvino")
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.06}  # |its - torch's| / |torch's|; 1e-6 and 0.04 were measured
ROOM = {torch.bfloat16: 2.5}  # times the model's weights, free, for `auto`; in float32 a large model gains nothing
log = logging.getLogger("inpaint")
Pass = Callable[[Tensor, float, Tensor], tuple[Tensor, Tensor]]


def choose(asked: str, kind: str, parameters: int, roomy: bool) -> Engine | None:
    """The engine for a model of that many parameters on a device of this kind, or None for torch alone.

    `auto` takes it only for models it pays for: of a small one, loading it takes longer than it saves in a picture.
    `roomy`: does it pay in this precision, and is there memory for weights that are there once more, in an order of
    OpenVINO's own?
    """
    if asked not in BACKENDS:
        raise ModelError(f"backend cannot be {asked!r}.", f"Choose one of: {', '.join(BACKENDS)}.")
    installed = find_spec("openvino") is not None
    if asked == "openvino":
        if kind != "cpu":
            raise ModelError("OpenVINO runs models on the CPU only.", "Use device cpu, or backend auto.")
        if not installed:
            raise ModelError("OpenVINO is not installed.", "Run pip install openvino, or use backend auto.")
        return Engine()
    pays = kind == "cpu" and parameters >= device.SMALL and roomy
    return Engine() if asked == "auto" and pays and installed else None


class Engine:
    """Runs UNets in torch's place; where it cannot, torch does, and one sentence in the log says why."""

    def __init__(self):
        self.said: set[str] = set()
        self.ready: WeakKeyDictionary[nn.Module, openvino.Compiled | None] = WeakKeyDictionary()  # None: it cannot

    def runs(self, network: nn.Module) -> bool:
        return self.ready.get(network) is not None

    def passes(self, network: nn.Module, files: list[Path], loras: list, policy: Policy) -> Pass | None:
        """What answers as `unet.UNet` does for this network of these files; None: torch it is."""
        reason = (
            "LoRAs change the weights"
            if loras
            else "this UNet is of another kind"
            if not forward.fits(network)
            else "memory is short for a second copy of the weights"
            if policy != Policy()
            else ""
        )
        if reason:
            self.ready.pop(network, None)
            self._say(f"torch runs the UNet, not OpenVINO: {reason}.")
            return None
        if network not in self.ready:
            self.ready[network] = self._taken(network, files)

        own = forward.UNet(network)

        def run(x: Tensor, t: float, text: Tensor) -> tuple[Tensor, Tensor]:
            taken = self.ready.get(network)
            if taken is not None:
                try:
                    return taken(x, t, text)
                except RuntimeError:
                    self.ready[network] = None
                    self._say("torch runs the UNet from here on: OpenVINO failed in a pass.")
            return own(x, t, text)

        return run if self.runs(network) else None

    def _taken(self, network: nn.Module, files: list[Path]) -> openvino.Compiled | None:
        """The network through OpenVINO, from what is kept and if that is spoilt once more anew; None: it cannot."""
        problem = ""
        for anew in (False, True):
            try:
                truth = openvino.truth(network)
                paging.rest(network)
                found = openvino.Compiled(openvino.kept(network, files, anew), network.dtype)
                gap = openvino.difference(found, network, truth)
                if gap <= TOLERANCE[network.dtype]:
                    found.rest()
                    paging.rest(network)
                    return found
                problem = f"its numbers differ from torch's by {gap:.2g} of their size"
            except Exception as error:  # the library's own are of many kinds, and torch can always do it
                problem = f"it failed with {type(error).__name__}"
        self._say(f"torch runs the UNet, not OpenVINO: {problem}.")
        return None

    def _say(self, sentence: str) -> None:
        if sentence not in self.said:
            self.said.add(sentence)
            log.warning(sentence)
