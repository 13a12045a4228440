"""Choose the device and the precision of a model; the decisions can be tested without the hardware."""

from __future__ import annotations

import torch

from ..errors import ModelError

CPU_FLAGS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # private; if torch drops them, CPUs use float32
SMALL = 50_000_000  # parameters; below that, half precision on a CPU saves too little to be worth its rounding


def pick(asked: str = "auto") -> torch.device:
    """Return the device asked for, or the best available: cuda, mps, cpu."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked == "auto":
        return torch.device(next(kind for kind, is_available in available.items() if is_available))
    kind = asked.split(":")[0]
    if not available.get(kind):
        raise ModelError(f"There is no device {asked} here.", "Use device auto or cpu.")
    return torch.device(asked)


def precision(kind: str, asked: str = "auto", *, parameters: int, bfloat16: bool) -> torch.dtype:
    """Return the networks' dtype on this kind of device; `bfloat16` says whether the processor has it natively.

    cuda float16 · mps float16 · cpu bfloat16 if it is native, else float32.  Never float16 on a CPU: it is 5 to 300
    times slower there than float32.  Small models run in float32 on a CPU.
    """
    if asked == "auto":
        if kind != "cpu":
            return torch.float16
        return torch.bfloat16 if bfloat16 and parameters >= SMALL else torch.float32
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}.get(asked)
    if dtype is None:
        raise ModelError(f"dtype cannot be {asked!r}.", "Choose one of: auto, float32, bfloat16, float16.")
    if dtype is torch.float16 and kind == "cpu":
        raise ModelError("float16 is many times slower than float32 on a CPU.", "Use dtype auto.")
    return dtype


def wider(dtype: torch.dtype, device: torch.device) -> torch.dtype | None:
    """Return a dtype of larger range for a network that produced NaN or infinity; None for float32.

    bfloat16 has float32's range in half the memory; float16 ends at 65504.
    """
    if dtype is torch.float32:
        return None
    return torch.bfloat16 if dtype is torch.float16 and has_bfloat16(device) else torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Return whether bfloat16 is computed natively, not emulated: AVX-512 BF16, AMX, CUDA from Ampere on, MPS."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "mps":
        return True
    return any(getattr(torch.cpu, name, bool)() for name in CPU_FLAGS)


def free_bytes(device: torch.device) -> int:
    """Return the device's free memory in bytes; on a CPU, the available memory that the system reports.

    Blocks that torch only caches count as free, since the next allocation can use them.
    """
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    try:
        with open("/proc/meminfo", encoding="utf-8") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 8 * 2**30  # a guess, if the system does not say


def vae_precision(kind: str, dtype: torch.dtype) -> torch.dtype:
    """Return the VAE's dtype: that of the networks, but float32 on MPS, where float16 overflows in its decoder."""
    return torch.float32 if kind == "mps" and dtype is torch.float16 else dtype


def empty_cache(device: torch.device) -> None:
    """Free the memory that torch has cached on the device."""
    if device.type != "cpu":
        getattr(torch, device.type).empty_cache()
