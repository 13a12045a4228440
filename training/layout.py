"""Time which memory format and kind of attention let a UNet run fastest on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from torch import Tensor

from .plan import Plan

TRIALS = 3  # timed steps of each layout, after one untimed


class Layout:
    """A UNet with a memory format and a kind of attention; called as (x, t, words) -> prediction."""

    def __init__(self, unet: UNet2DConditionModel, *, channels_last: bool, fused: bool):
        self.unet, self.channels_last, self.fused = unet, channels_last, fused
        self.compiled: dict[torch.Size, Callable] = {}

    def apply(self) -> Layout:
        """Put the UNet into this layout."""
        self.unet.to(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)
        self.unet.set_attn_processor(AttnProcessor2_0() if self.fused else AttnProcessor())
        return self

    def __call__(self, x: Tensor, t: Tensor, words: Tensor) -> Tensor:
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        return self.compiled.get(x.shape, self.unet)(x, t, words, return_dict=False)[0]

    def __str__(self) -> str:
        memory, attention = (
            "channels last" if self.channels_last else "contiguous",
            "fused" if self.fused else "plain",
        )
        return f"{memory}, {attention} attention{', compiled' if self.compiled else ''}"


def fastest(unet: UNet2DConditionModel, loss: Callable[[Layout], Tensor], plan: Plan) -> Layout:
    """Return the UNet in its fastest layout, or in the one that the plan names."""
    if plan.layout != "auto":
        last, fused = plan.layout.split("-")
        layout = Layout(unet, channels_last=last == "last", fused=fused == "fused").apply()
    elif plan.device == "cuda":
        layout = Layout(unet, channels_last=True, fused=True).apply()
    else:
        layouts = [Layout(unet, channels_last=last, fused=fused) for last, fused in product((False, True), repeat=2)]
        layout = min(layouts, key=lambda layout: seconds(layout.apply(), loss, plan)).apply()
    if plan.compile:
        compile_if_quicker(layout, loss, plan)
    return layout


def compile_if_quicker(layout: Layout, loss: Callable[[Layout], Tensor], plan: Plan) -> None:
    """Compile the UNet for square frames, and undo it if that fails or is not faster."""
    before = seconds(layout, loss, plan)
    cells, channels = plan.size // 8, layout.unet.config.in_channels
    shape = torch.Size((plan.batch * plan.stride, channels, cells, cells))
    layout.compiled[shape] = torch.compile(layout.unet, dynamic=False)
    try:
        if seconds(layout, loss, plan) < before:
            return
    except Exception as error:  # whatever goes wrong in the compiler, the training must go on
        print(f"  not compiled: {type(error).__name__}: {str(error)[:200]}", flush=True)
    layout.compiled.clear()
    layout.unet.zero_grad(set_to_none=True)


def seconds(layout: Layout, loss: Callable[[Layout], Tensor], plan: Plan) -> float:
    """Return the least seconds of a forward and backward pass in a few trials."""
    least = min([timed(layout, loss, plan) for _ in range(TRIALS + 1)][1:])
    print(f"  {layout}: {least:.3f} s", flush=True)
    return least


def timed(layout: Layout, loss: Callable[[Layout], Tensor], plan: Plan) -> float:
    began = time.perf_counter()
    loss(layout).backward()
    if plan.device == "cuda":
        torch.cuda.synchronize()
    layout.unet.zero_grad(set_to_none=True)
    return time.perf_counter() - began
