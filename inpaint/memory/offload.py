"""Move networks between the device and the host, as the memory policy asks."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from . import device as devices
from . import paging
from .policy import Policy


class Offloader:
    """Keep networks where the policy says, and move each to the device when it is used.

    With the policy offload a network stays on the device until another one is used, so the UNet moves once per walk,
    not once per step.
    """

    def __init__(self, device: torch.device, policy: Policy):
        self.device, self.policy = device, policy
        self.last: Callable[[], nn.Module | None] = _nothing  # a weak reference to the network used last
        self.streamed: weakref.WeakSet[nn.Module] = weakref.WeakSet()  # networks with accelerate's hooks
        self.host_tensors: list[tuple[nn.Module, str, Tensor]] = []  # the weights of `last` on the host

    def apply(self, policy: Policy, networks: list[nn.Module]) -> None:
        """Use this policy from now on: move every network to where it is kept while unused."""
        self.evict()
        self.policy = policy
        for network in networks:
            if policy.placement == "sequential" and self.device.type != "cpu":
                self._stream(network)
            else:
                self._stop_streaming(network)
                network.to(self.device if policy.placement == "resident" else "cpu")

    def too_tight(self, network: nn.Module) -> bool:
        """Return whether this network does not fit on the device beside those already there."""
        if self.device.type == "cpu":
            return False  # weights are mapped from disk, so the system drops and reads them as needed
        size = sum(weight.nbytes for weight in network.parameters())
        return self.policy.placement != "resident" or devices.free_bytes(self.device) < 1.5 * size

    @contextmanager
    def on_device(self, network: nn.Module) -> Iterator[None]:
        """Keep the network on the device inside the block, in place of the one used before.

        On a CPU, where there is no other device, the previous network's weights are paged out instead.
        """
        last = self.last()
        if self.policy.placement == "offload" and last is not network:
            if self.device.type == "cpu":
                if last is not None:
                    paging.page_out(last)
            else:
                self.evict()
                self._bring(network)
            self.last = weakref.ref(network)
        yield

    def _bring(self, network: nn.Module) -> None:
        """Copy the weights to the device; keep those on the host, so that nothing has to be copied back."""
        self.last = weakref.ref(network)
        for module, name, tensor in _own_tensors(network):
            self.host_tensors.append((module, name, tensor))
            _set(module, name, tensor.to(self.device))

    def evict(self) -> None:
        """Let the network on the device use its weights on the host again; nothing is copied."""
        for module, name, tensor in self.host_tensors:
            _set(module, name, tensor)
        self.host_tensors, self.last = [], _nothing

    def _stream(self, network: nn.Module) -> None:
        """Add accelerate's hooks, which copy each layer to the device when it is called."""
        if network in self.streamed:
            return
        from accelerate import cpu_offload

        network.to("cpu")
        cpu_offload(network, self.device)
        self.streamed.add(network)

    def _stop_streaming(self, network: nn.Module) -> None:
        """Remove accelerate's hooks; the weights are on the host afterwards."""
        if network not in self.streamed:
            return
        from accelerate.hooks import remove_hook_from_module

        remove_hook_from_module(network, recurse=True)
        self.streamed.discard(network)


def _nothing() -> None:
    """Stand in for a reference to a network before there is one."""


def _own_tensors(network: nn.Module) -> list[tuple[nn.Module, str, Tensor]]:
    """Return (module, name, data) of every parameter and buffer."""
    return [
        (module, name, tensor.data)
        for module in network.modules()
        for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    ]


def _set(module: nn.Module, name: str, tensor: Tensor) -> None:
    getattr(module, name).data = tensor
