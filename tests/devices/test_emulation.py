"""Check that the emulated device refuses, counts and frees memory as a real one does."""

import gc

import numpy as np
import pytest
import torch

from tests.devices.emulation import Emulated


@pytest.fixture(params=["cuda", "mps"])
def device(request):
    with Emulated(request.param) as emulated:
        yield emulated


def test_tensors_and_modules_say_where_they_are(device):
    kind = device.kind
    a = torch.ones(2, 3, device=kind)
    module = torch.nn.Linear(3, 4).to(kind)
    both = (a, a[0], a.T, a + 1, torch.zeros_like(a), a.new_zeros(2), module.weight, module(a))
    assert {each.device.type for each in both} == {kind}
    assert torch.ones(2).device.type == a.cpu().device.type == module.to("cpu").weight.device.type == "cpu"
    assert torch.arange(3).to(a).device.type == kind and a.to(torch.zeros(1)).device.type == "cpu"


@pytest.mark.parametrize(
    "mix",
    [
        lambda here, there: here + there,
        lambda here, there: torch.cat([here, there]),
        lambda here, there: torch.nn.functional.linear(here, there),
        lambda here, there: here.mul_(there),
        lambda here, there: torch.where(here > 0, here, there),
        lambda here, there: torch.stack([here[0, 0], torch.tensor(1.0)]),
        lambda here, there: torch.equal(here, there),
    ],
)
def test_devices_do_not_mix(device, mix):
    here, there = torch.ones(2, 2, device=device.kind), torch.ones(2, 2)
    with pytest.raises(RuntimeError, match="same device"):
        mix(here, there)


def test_single_numbers_of_the_host_may_mix_and_copies_may_cross(device):
    here = torch.ones(2, 2, device=device.kind)
    assert (here * torch.tensor(2.0)).device.type == device.kind
    into = torch.zeros(2, 2)
    into.copy_(here)
    assert torch.equal(into, torch.ones(2, 2))


def test_the_host_waits_for_reads_and_plain_copies_and_for_nothing_else(device):
    here = torch.ones(2, 2, device=device.kind)
    here = torch.nn.functional.silu(here @ here) + torch.full((1,), 3.0, device=device.kind)
    assert not device.waits
    pinned = torch.ones(2).pin_memory()
    pinned.to(device.kind, non_blocking=True)
    assert not device.waits
    reads = (here.cpu, here.sum().item, here.tolist, lambda: bool(here[0, 0]), lambda: torch.equal(here, here))
    copies = (lambda: torch.ones(2).to(device.kind), lambda: torch.as_tensor(3.0, device=device.kind))
    for count, wait in enumerate((*reads, *copies), 1):
        wait()
        assert device.waits.total() == count, device.waits


def test_what_a_real_device_refuses_is_refused(device):
    here = torch.ones(2, device=device.kind)
    for refused in (here.numpy, lambda: np.asarray(here)):
        with pytest.raises(TypeError, match="numpy"):
            refused()
    with pytest.raises(RuntimeError, match="generator"):
        torch.randn(2, generator=torch.Generator(), device=device.kind)
    with pytest.raises(RuntimeError, match="indices"):
        torch.ones(2)[torch.zeros(1, dtype=torch.long, device=device.kind)]
    if device.kind == "mps":
        with pytest.raises(TypeError, match="float64"):
            here.double()


def test_memory_runs_out_and_comes_back():
    with Emulated(limit=1000):
        kept = torch.zeros(200, device="cuda")
        with pytest.raises(torch.OutOfMemoryError):
            torch.zeros(100, device="cuda")
        assert torch.cuda.memory_allocated() == 800 and torch.cuda.mem_get_info()[0] == 200
        view = kept[:1]
        del kept
        gc.collect()
        assert torch.cuda.memory_allocated() == 800
        del view
        assert torch.cuda.memory_allocated() == 0
    assert not torch.cuda.is_available() and torch.zeros(1).device.type == "cpu"
