"""Convolutions whose weights stand as oneDNN computes with them, so that they are not reordered in each pass.

In a small network that takes as long as a sixth of the pass; in one of Stable Diffusion's size nothing that could be
measured in float32 (bench/README.md).  It is what torch.compile does to a frozen convolution, without compiling.
"""

from __future__ import annotations

import platform
from collections import OrderedDict

import torch
from torch import Tensor, nn

KEPT = 4  # sizes of input that a convolution keeps its weights for


def possible() -> bool:
    """Whether torch has oneDNN here, on the kind of processor where this was measured."""
    return torch.backends.mkldnn.is_available() and platform.machine().lower() in ("x86_64", "amd64")


def pack(network: nn.Module) -> nn.Module:
    """The same network with its convolutions packed; it must stay on the CPU, and its weights as they are."""
    if possible():
        for module in network.modules():
            if type(module) is nn.Conv2d and module.padding_mode == "zeros":
                module.__class__ = Packed  # in its place, under its name, with its parameters
                module.ordered = OrderedDict()
    return network


class Packed(nn.Conv2d):
    """A convolution that keeps its weights ordered for the sizes of input it met last."""

    ordered: OrderedDict[tuple[int, ...], Tensor]

    def forward(self, x: Tensor) -> Tensor:
        """[N, c, h, w] -> [N, d, h', w']"""
        how = self.padding, self.stride, self.dilation, self.groups
        if x.shape not in self.ordered:
            self.ordered[x.shape] = torch._C._nn.mkldnn_reorder_conv2d_weight(self.weight.to_mkldnn(), *how, x.shape)
            if len(self.ordered) > KEPT:
                self.ordered.popitem(last=False)
        return torch.ops.mkldnn._convolution_pointwise(x, self.ordered[x.shape], self.bias, *how, "none", [], "")
