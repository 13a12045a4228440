"""Store convolution weights in oneDNN's own order, so that they are not reordered in each pass.

In a small network reordering takes a sixth of the pass; at Stable Diffusion's size, in float32, too little to measure
(bench/README.md).  torch.compile does the same to a frozen convolution.  The operators used here are private: if
torch no longer has them, convolutions stay as they are.
"""

from __future__ import annotations

import platform
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

CACHED_SHAPES = 4  # input sizes for which a convolution caches its reordered weights


def is_available() -> bool:
    """Return whether torch has oneDNN and both operators, on an x86 processor (others were not measured)."""
    operators = hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight") and hasattr(
        torch.ops.mkldnn, "_convolution_pointwise"
    )
    return operators and torch.backends.mkldnn.is_available() and platform.machine().lower() in ("x86_64", "amd64")


def prepack(network: nn.Module) -> nn.Module:
    """Return the network with its convolutions prepacked; it must stay on the CPU, with these weights."""
    if is_available():
        for module in network.modules():
            if type(module) is nn.Conv2d and module.padding_mode == "zeros":
                PrepackedConv2d.take_over(module)
    return network


class PrepackedConv2d(nn.Conv2d):
    """A convolution that caches its reordered weights for the last input shapes it saw."""

    packed: OrderedDict[tuple[int, ...], Tensor]

    @classmethod
    def take_over(cls, module: nn.Module) -> None:
        """Turn a convolution into one of these in place; its name and parameters stay."""
        module.__class__ = cls
        vars(module)["packed"] = OrderedDict()

    def forward(self, x: Tensor) -> Tensor:
        """Convolve [N, c, h, w] to [N, d, h', w']."""
        options = self.padding, self.stride, self.dilation, self.groups
        reorder: Callable[..., Tensor] = torch._C._nn.mkldnn_reorder_conv2d_weight
        if x.shape not in self.packed:
            self.packed[x.shape] = reorder(self.weight.to_mkldnn(), *options, x.shape)
            if len(self.packed) > CACHED_SHAPES:
                self.packed.popitem(last=False)
        return torch.ops.mkldnn._convolution_pointwise(x, self.packed[x.shape], self.bias, *options, "none", [], "")
