"""Check which device, precision and memory policy is chosen, with fakes; and what is given up if memory runs out."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.record import ROOT, process_memory
from inpaint import load
from inpaint.errors import ModelError
from inpaint.memory import device, malloc
from inpaint.memory import policy as memory
from inpaint.memory.offload import Offloader

GIB = 2**30


@pytest.mark.parametrize(
    ("kind", "asked", "parameters", "bfloat16", "dtype"),
    [
        ("cuda", "auto", 10**9, True, torch.float16),
        ("cuda", "auto", 10**7, False, torch.float16),
        ("cuda", "bfloat16", 10**9, True, torch.bfloat16),
        ("mps", "auto", 10**9, True, torch.float16),
        ("cpu", "auto", 10**9, True, torch.bfloat16),
        ("cpu", "auto", 10**9, False, torch.float32),
        ("cpu", "auto", 10**7, True, torch.float32),
        ("cpu", "float32", 10**9, True, torch.float32),
    ],
)
def test_precision(kind, asked, parameters, bfloat16, dtype):
    assert device.precision(kind, asked, parameters=parameters, bfloat16=bfloat16) is dtype


@pytest.mark.parametrize(
    ("dtype", "bfloat16", "wider"),
    [
        (torch.float16, True, torch.bfloat16),
        (torch.float16, False, torch.float32),  # GTX 16xx and older
        (torch.bfloat16, True, torch.float32),
        (torch.float32, True, None),
    ],
)
def test_what_overflows_is_tried_in_a_wider_dtype(monkeypatch, dtype, bfloat16, wider):
    monkeypatch.setattr(device, "has_bfloat16", lambda _: bfloat16)
    assert device.wider(dtype, torch.device("cuda")) is wider


def test_without_torchs_private_processor_flags_a_cpu_computes_in_float32(monkeypatch):
    for name in device.CPU_FLAGS:
        monkeypatch.delattr(torch.cpu, name)
    assert device.has_bfloat16(torch.device("cpu")) is False


def test_the_vae_is_float32_where_half_precision_overflows():
    assert device.vae_precision("mps", torch.float16) is torch.float32
    assert device.vae_precision("cuda", torch.float16) is torch.float16
    assert device.vae_precision("cpu", torch.bfloat16) is torch.bfloat16


@pytest.mark.parametrize("asked", ["float16", "int8", ""])
def test_float16_never_runs_on_a_cpu(asked):
    with pytest.raises(ModelError):
        device.precision("cpu", asked, parameters=10**9, bfloat16=True)


def test_the_best_device_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.pick().type == "cuda" and device.pick("cuda:0").index == 0
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device.pick().type == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device.pick().type == "cpu"
    for missing in ("cuda", "mps", "tpu"):
        with pytest.raises(ModelError, match="no device"):
            device.pick(missing)


def test_this_machine_can_be_asked():
    assert isinstance(device.has_bfloat16(torch.device("cpu")), bool)
    assert device.free_bytes(torch.device("cpu")) > 0


@pytest.mark.parametrize(
    ("kind", "free", "placement", "tiling", "slicing"),
    [
        ("cuda", 8, "resident", False, False),
        ("cuda", 2.3, "offload", True, False),
        ("cuda", 1, "sequential", True, True),
        ("mps", 8, "resident", False, False),
        ("cpu", 24, "resident", False, False),
        ("cpu", 1, "resident", True, False),
    ],
)
def test_policy_for_stable_diffusion(kind, free, placement, tiling, slicing):
    policy = memory.choose(kind, int(free * GIB), int(2.1 * GIB), 512)
    assert (policy.placement, policy.vae_tiling, policy.attention_slicing) == (placement, tiling, slicing)


def test_policy_that_was_asked_for():
    assert memory.choose("cuda", 80 * GIB, GIB, 512, "sequential").placement == "sequential"
    assert memory.choose("cuda", 80 * GIB, GIB, 512, "low") == memory.Policy("offload", True, True)
    assert memory.choose("cpu", 80 * GIB, GIB, 512, "low") == memory.Policy("offload", True, False)
    assert memory.choose("cpu", 80 * GIB, GIB, 512, "resident") == memory.Policy()
    with pytest.raises(ModelError, match="Choose one of"):
        memory.choose("cpu", GIB, GIB, 512, "huge")


@pytest.mark.parametrize(
    ("kind", "network", "words"),
    [
        ("cuda", "unet", ["networks take turns", "layers take turns"]),  # fused attention has nothing to slice
        ("cuda", "vae", ["tiles", "networks take turns", "layers take turns"]),
        ("cuda", "text", ["networks take turns", "layers take turns"]),
        ("mps", "unet", ["slices", "networks take turns", "layers take turns"]),
        ("cpu", "unet", ["slices"]),
        ("cpu", "vae", ["tiles"]),
        ("cpu", "text", []),
    ],
)
def test_what_is_given_up_suits_the_network_that_ran_out(kind, network, words):
    policy, sentences = memory.Policy(), []
    while (step := memory.next_policy(policy, kind, network)) is not None:
        policy, sentence = step
        sentences.append(sentence)
    assert len(sentences) == len(words)
    for sentence, word in zip(sentences, words, strict=True):
        assert sentence.startswith("Memory ran out") and word in sentence


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("Invalid buffer size: 16.00 GiB"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error, is_one):
    assert memory.is_out_of_memory(error) is is_one


def test_mapped_weights_give_way_to_the_next_network_and_come_back(tmp_path):
    def mapped(name: str) -> torch.nn.Module:
        save_file({"weight": torch.arange(2**24, dtype=torch.float32).view(2**12, 2**12)}, tmp_path / name)
        network = torch.nn.Linear(2**12, 2**12, bias=False)
        network.weight = torch.nn.Parameter(load_file(tmp_path / name)["weight"])
        return network

    first, second = mapped("first.safetensors"), mapped("second.safetensors")
    offloader = Offloader(torch.device("cpu"), memory.Policy("offload", vae_tiling=True))
    with offloader.on_device(first):
        total = first.weight.sum().item()
    before = process_memory("VmRSS")
    with offloader.on_device(second):
        assert before - process_memory("VmRSS") > 48 * 2**20, "64 MiB of weights stayed in memory"
    with offloader.on_device(first):
        assert first.weight.sum().item() == total
        assert torch.equal(first.weight.flatten()[:5], torch.arange(5.0))


PASSES = """
import resource, threading, torch
from bench.record import process_memory
from inpaint.memory import malloc

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(20 * 2**20).add_(1)  # 80 MiB, made and freed twice
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
by_itself = faults()
malloc.keep()
faults()
told = [by_itself, faults()]
thread = threading.Thread(target=lambda: told.append(min(faults(), faults(), faults())))
thread.start()
thread.join()
kept = process_memory("VmRSS")
malloc.trim(2**30)
told.append(kept - process_memory("VmRSS"))
malloc.trim(2**20)
print(*told, kept - process_memory("VmRSS"))
"""


@pytest.mark.slow
def test_memory_of_a_pass_is_reused_by_the_next_and_freed_on_demand():
    """In a process of its own, since this one keeps memory since the first model was loaded."""
    done = subprocess.run([sys.executable, "-c", PASSES], cwd=ROOT, capture_output=True, text=True, check=True)
    by_itself, kept, in_a_thread, untouched, given_back = map(int, done.stdout.split())
    assert by_itself > 100_000 and max(kept, in_a_thread) < by_itself / 100
    assert untouched < 2**20 and given_back > 70 * 2**20


def test_a_library_call_leaves_the_allocator_alone_and_memory_is_given_back_on_any_device(monkeypatch):
    calls = []
    monkeypatch.setattr(malloc, "keep", lambda: calls.append("keep"))
    monkeypatch.setattr(malloc, "trim", lambda more_than=0: calls.append(more_than))
    model = load("builtin").model
    assert "keep" not in calls  # it changes the whole process: the page and the command line do it for themselves
    for device_ in ("cpu", "mps"):
        calls.clear()
        model.device = torch.device(device_)
        monkeypatch.setattr(device, "empty_cache", lambda _: None)
        model.free()
        assert calls == [malloc.ENOUGH]
