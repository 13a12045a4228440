"""Which network sits on which device, and when it moves."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from . import device as devices
from . import paging
from .policy import Policy


class Placing:
    """Keeps networks where the policy wants them, and brings one to the device while it works."""

    def __init__(self, device: torch.device, policy: Policy):
        self.device, self.policy = device, policy
        self.last = lambda: None  # the network that worked last, as long as it lives

    def settle(self, policy: Policy, networks: list[nn.Module]) -> None:
        """Put all of them where they rest under this policy."""
        self.policy = policy
        for network in networks:
            if policy.placement == "sequential" and self.device.type != "cpu":
                self._stream(network)
            else:
                network.to(self.device if policy.placement == "resident" else "cpu")

    def crowded(self, network: nn.Module) -> bool:
        """Whether another network like this had better not stay beside those that are on the device."""
        if self.device.type == "cpu":
            return False  # weights are mapped from disk: they come and go by themselves
        size = sum(weight.nbytes for weight in network.parameters())
        return self.policy.placement != "resident" or devices.free_bytes(self.device) < 1.5 * size

    @contextmanager
    def at_work(self, network: nn.Module) -> Iterator[None]:
        """On the device inside the block; back to where it rests after it.

        On a CPU, where there is nowhere else to go, the network that worked before makes room.
        """
        if self.policy.placement == "offload" and self.device.type == "cpu":
            before = self.last()
            if before is not None and before is not network:
                paging.page_out(before)
            self.last = weakref.ref(network)
        moves = self.policy.placement == "offload" and self.device.type != "cpu"
        if moves:
            network.to(self.device)
        try:
            yield
        finally:
            if moves:
                network.to("cpu")

    def _stream(self, network: nn.Module) -> None:
        """accelerate's hooks bring each layer to the device as it is called."""
        if getattr(network, "_streamed", False):
            return
        from accelerate import cpu_offload

        network.to("cpu")
        cpu_offload(network, self.device)
        network._streamed = True
