"""Which network sits on which device, and when it moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from .memory import Policy


class Placing:
    """Keeps networks where the policy wants them, and brings one to the device while it works."""

    def __init__(self, device: torch.device, policy: Policy):
        self.device, self.policy = device, policy
        self.streamed: set[int] = set()

    def settle(self, policy: Policy, networks: list[nn.Module]) -> None:
        """Put all of them where they rest under this policy."""
        self.policy = policy
        for network in networks:
            if policy.placement == "sequential" and self.device.type != "cpu":
                self._stream(network)
            else:
                network.to(self.device if policy.placement == "resident" else "cpu")

    @contextmanager
    def at_work(self, network: nn.Module) -> Iterator[None]:
        """On the device inside the block; back to where it rests after it."""
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
        if id(network) in self.streamed:
            return
        from accelerate import cpu_offload

        network.to("cpu")
        cpu_offload(network, self.device)
        self.streamed.add(id(network))
