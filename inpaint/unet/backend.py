"""Choose the library that runs a UNet on a CPU: torch, or OpenVINO if it is installed, faster, and agrees."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..memory import device, paging
from ..memory.policy import Policy
from . import forward, openvino, supported

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

BACKENDS = ("auto", "torch", "openvino")
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.06}  # largest relative error; 1e-6 and 0.04 were measured
ROOM = {torch.bfloat16: 2.5}  # free memory that `auto` asks for, times the weights; float32 gains nothing
log = logging.getLogger("inpaint")
Pass = Callable[[Tensor, float, Tensor], tuple[Tensor, Tensor]]


def choose(asked: str, kind: str, parameters: int, roomy: bool) -> Engine | None:
    """Return the engine for a model with that many parameters on this kind of device, or None for torch alone.

    roomy  whether OpenVINO is faster in this dtype, and a second copy of the weights fits into memory

    `auto` uses OpenVINO only for large models: for a small one, loading it takes longer than it saves in a picture.
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
    """Run UNets with OpenVINO; if that fails, torch runs them and one sentence in the log says why."""

    def __init__(self):
        self.logged: set[str] = set()
        self.ready: WeakKeyDictionary[nn.Module, openvino.Compiled | None] = WeakKeyDictionary()  # None: it failed

    def runs(self, network: nn.Module) -> bool:
        return self.ready.get(network) is not None

    def release(self, *networks: nn.Module) -> None:
        """Drop the compiled copies of these networks; `runner` compiles them again."""
        for network in networks:
            self.ready.pop(network, None)

    def runner(self, network: UNet2DConditionModel, files: list[Path], loras: list, policy: Policy) -> Pass | None:
        """Return a callable like `forward.UNet` for the network read from `files`, or None if torch must run it."""
        reason = self._reason_against(network, loras, policy)
        if reason:
            self.release(network)
            self._log(f"torch runs the UNet, not OpenVINO: {reason}.")
            return None
        if network not in self.ready:
            self.ready[network] = self._compile(network, files)

        own = forward.UNet(network)

        def run(x: Tensor, t: float, text: Tensor) -> tuple[Tensor, Tensor]:
            compiled = self.ready.get(network)
            if compiled is not None:
                try:
                    return compiled(x, t, text)
                except RuntimeError:
                    self.ready[network] = None
                    self._log("torch runs the UNet from here on: OpenVINO failed in a pass.")
            return own(x, t, text)

        return run if self.runs(network) else None

    def _reason_against(self, network: nn.Module, loras: list, policy: Policy) -> str:
        if loras:
            return "LoRAs change the weights"
        if not supported.fits(network):
            return "this UNet is of another kind"
        return "memory is short for a second copy of the weights" if policy != Policy() else ""

    def _compile(self, network: UNet2DConditionModel, files: list[Path]) -> openvino.Compiled | None:
        """Compile the network, from the cache or, if that copy fails the check, from scratch.  None if both fail."""
        problem = ""
        for afresh in (False, True):
            try:
                reference = openvino.reference(network)
                paging.page_out(network)
                compiled = openvino.Compiled(openvino.cached(network, files, afresh), network.dtype)
                error = openvino.relative_error(compiled, network, reference)
                if error <= TOLERANCE[network.dtype]:
                    compiled.page_out()
                    paging.page_out(network)
                    return compiled
                problem = f"its numbers differ from torch's by {error:.2g} of their size"
            except Exception as error:  # OpenVINO raises many kinds of errors; torch can run the UNet instead
                problem = f"it failed with {type(error).__name__}"
        self._log(f"torch runs the UNet, not OpenVINO: {problem}.")
        return None

    def _log(self, sentence: str) -> None:
        if sentence not in self.logged:
            self.logged.add(sentence)
            log.warning(sentence)
