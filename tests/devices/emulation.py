"""Emulate an accelerator: the CPU computes, under a real device's rules about where tensors are.

A tensor is on the device if its storage was made there, so views, parameters and tensors changed in place follow by
themselves.  As on a real one, tensors of two devices may not meet in one operation (single numbers on the CPU may), a
generator must be of the device it draws on, numpy cannot read the device, and memory can run out.

Counted on the way: `waits`, the places where the host waits for the device or for a copy between the two, and
`moved`, the bytes that went each way.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from unittest import mock

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode

GETTERS = {getattr(Tensor, name).__get__: name for name in ("device", "is_cuda", "is_mps", "is_cpu")}
HOST_READS = {
    "item",
    "tolist",
    "__bool__",
    "__int__",
    "__float__",
    "__index__",
    "__complex__",
    "equal",
    "allclose",
    "nonzero",
    "argwhere",
    "is_nonzero",
    "unique",
    "masked_select",
    "__contains__",
    "__repr__",
    "bincount",
}
HOST_ONLY = {"numpy", "__array__"}
FROM_HOST = {"tensor", "as_tensor", "asarray", "new_tensor"}
DRAWS = {
    "randn",
    "rand",
    "randint",
    "randperm",
    "normal",
    "bernoulli",
    "multinomial",
    "normal_",
    "uniform_",
    "random_",
    "bernoulli_",
    "exponential_",
}
CROSSING = {
    "copy_",
    "__set__",
    "to",
    "cuda",
    "cpu",
    "set_",
    "type_as",
    "is_set_to",
    "__get__",
    "_has_compatible_shallow_copy_type",
}
NO_SCALARS = {"cat", "concat", "stack", "hstack", "vstack", "embedding", "index_select", "gather"}


class Emulated(TorchFunctionMode):
    """Inside the block there is a device of this kind ("cuda" or "mps") with `limit` bytes of memory."""

    def __init__(self, kind: str = "cuda", limit: int = 2**40):
        super().__init__()
        self.kind, self.limit = kind, limit
        self.device = torch.device(kind, 0)
        self.total, self.used, self.most = limit, 0, 0  # bytes there are, now in use or freed lately, ever in use
        self.moved, self.waits = Counter(), Counter()
        self.storages: dict[int, tuple[StorageWeakRef, int]] = {}

    def __enter__(self):
        self.patches = ExitStack()
        for name, value in self._system().items():
            self.patches.enter_context(mock.patch(name, value))
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self.patches.close()

    def allocated(self) -> int:
        """Bytes in use on the device."""
        self.storages = {key: pair for key, pair in self.storages.items() if not pair[0].expired()}
        self.used = sum(nbytes for _, nbytes in self.storages.values())
        return self.used

    def limit_to(self, fraction: float) -> None:
        self.limit = int(fraction * self.total)

    def reset_peak(self) -> None:
        self.most = self.allocated()

    def holds(self, tensor: Tensor) -> bool:
        """Return whether this tensor is on the device."""
        storage = _storage(tensor)
        return storage is not None and getattr(storage, "emulated", None) == self.kind

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), getattr(function, "__name__", "")
        if function in GETTERS:
            return self._property(GETTERS[function], args[0])
        tensors = list(_tensors((args, kwargs)))
        here = [tensor for tensor in tensors if self.holds(tensor)]
        if name == "pin_memory":
            return self._pin(*args)
        if name in ("to", "cuda", "cpu", "mps") and tensors:
            return self._to(name, *args, **kwargs)
        target = self._target(kwargs)
        if name in FROM_HOST:
            return self._from_host(function, name, args, kwargs, here, target)
        if here:
            self._check(name, args, tensors, here)
        if name == "copy_" or name == "__setitem__":
            self._crossing_copy(name, args)
        on_device = bool(here) if target is None else target == self.kind
        if name in DRAWS and on_device:
            self._check_generator(kwargs)
        if target == self.kind:
            kwargs["device"] = "cpu"
        elif target is None and here and "device" in kwargs:
            del kwargs["device"]
        owned = {_storage(tensor)._cdata for tensor in tensors if _storage(tensor) is not None}
        result = function(*args, **kwargs)
        if on_device:
            for tensor in _tensors(result):
                if _storage(tensor) is not None and _storage(tensor)._cdata not in owned:
                    self._claim(tensor)
        return result

    def _property(self, name: str, tensor: Tensor):
        here = self.holds(tensor)
        if name == "device":
            return self.device if here else Tensor.device.__get__(tensor)
        if name == "is_cpu":
            return not here and Tensor.is_cpu.__get__(tensor)
        return here and name == f"is_{self.kind}"

    def _target(self, kwargs: dict) -> str | None:
        asked = kwargs.get("device")
        return None if asked is None else torch.device(asked).type

    def _to(self, name: str, tensor: Tensor, *args, **kwargs):
        copy = kwargs.pop("copy", False)
        if name in ("cuda", "mps", "cpu"):
            args, kwargs = (torch.device(name),), {}
        if args and isinstance(args[0], Tensor):
            other = args[0]
            args = (self.device if self.holds(other) else other.device, other.dtype, *args[1:])
        if "other" in kwargs:
            other = kwargs.pop("other")
            args = (self.device if self.holds(other) else other.device, other.dtype)
        device, dtype, non_blocking, layout = torch._C._nn._parse_to(*args, **kwargs)
        here = self.holds(tensor)
        there = here if device is None else device.type == self.kind
        options = {"memory_format": layout} if layout is not None else {}
        found = tensor if dtype is None or dtype == tensor.dtype else tensor.to(dtype, **options)
        if there == here:
            if not here and device is not None:
                return found.to(device, copy=copy, **options)
            found = found.to(copy=copy, **options) if copy or options else found
            return self._claim(found) if here and found is not tensor else found
        if device.type == "meta":
            return tensor.to("meta", dtype=dtype or tensor.dtype)
        if tensor.is_meta:
            raise NotImplementedError("Cannot copy out of meta tensor; no data!")
        if found is tensor:
            found = tensor.clone(**options)
        self.moved["to host" if here else "to device"] += found.nbytes
        if here or not (non_blocking and getattr(_storage(tensor), "pinned", False)):
            self._wait("copy to the host" if here else "copy from the host")
        return self._claim(found) if there else found

    def _pin(self, tensor: Tensor) -> Tensor:
        if self.holds(tensor):
            raise RuntimeError("cannot pin a tensor of the device: only dense CPU tensors can be pinned")
        pinned = tensor.clone()
        _storage(pinned).pinned = True
        return pinned

    def _from_host(self, function, name, args, kwargs, here, target):
        there = bool(here) if target is None else target == self.kind
        if "device" in kwargs and target == self.kind:
            kwargs["device"] = "cpu"
        result = function(*args, **kwargs)
        if there and not self.holds(result):
            self._wait(name)
            self._claim(result)
        return result

    def _check(self, name: str, args, tensors, here) -> None:
        if name in HOST_ONLY:
            raise TypeError(
                f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy the "
                "tensor to host memory first."
            )
        if name in HOST_READS or (name == "where" and len(tensors) == 1):
            self._wait(name)
        if name == "__getitem__":
            return self._check_index(args)
        if name in CROSSING or name == "__setitem__":
            return
        strangers = [tensor for tensor in tensors if not self.holds(tensor) and not tensor.is_meta]
        if any(tensor.ndim or name in NO_SCALARS for tensor in strangers):
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, "
                f"{self.device} and cpu! (in torch's {name})"
            )

    def _check_index(self, args) -> None:
        owner, index = args
        for each in _tensors(index):
            if self.holds(each) and not self.holds(owner):
                raise RuntimeError(
                    "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
                )
            if each.dtype in (torch.bool, torch.uint8) or not self.holds(each):
                self._wait("index")

    def _check_generator(self, kwargs) -> None:
        generator = kwargs.get("generator")
        if generator is not None and generator.device.type != self.kind:
            raise RuntimeError(
                f"Expected a '{self.kind}' device type for generator but found '{generator.device.type}'"
            )

    def _crossing_copy(self, name: str, args) -> None:
        into, value = args[0], args[-1 if name == "__setitem__" else 1]
        if isinstance(value, Tensor) and value.ndim and self.holds(into) != self.holds(value):
            self._wait(name)

    def _claim(self, tensor: Tensor) -> Tensor:
        """Count a new tensor as the device's."""
        if self.kind == "mps" and tensor.dtype == torch.float64:
            raise TypeError(
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support "
                "float64. Please use float32 instead."
            )
        storage = _storage(tensor)
        if getattr(storage, "emulated", None) is None and not tensor.is_meta:
            size = storage.nbytes()
            if self.used + size > self.limit and self.allocated() + size > self.limit:
                raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size} bytes.")
            storage.emulated = self.kind
            self.storages[storage._cdata] = StorageWeakRef(storage), size
            self.used += size
            if len(self.storages) > 4096 or self.used > 1.5 * self.most:  # what was freed since is counted so far
                self.most = max(self.most, self.allocated())
        return tensor

    def _wait(self, what: str) -> None:
        self.waits[f"{what} in {_caller()}"] += 1

    def _system(self) -> dict:
        """Return the answers that torch gives about its devices here."""
        cuda = self.kind == "cuda"
        found = {
            "torch.cuda.is_available": lambda: cuda,
            "torch.backends.mps.is_available": lambda: not cuda,
            f"torch.{self.kind}.empty_cache": lambda: None,
            f"torch.{self.kind}.synchronize": lambda *_: None,
        }
        if cuda:
            found |= {
                "torch.cuda.is_bf16_supported": lambda *_, **__: True,
                "torch.cuda.mem_get_info": lambda *_: (self.limit - self.allocated(), self.limit),
                "torch.cuda.memory_allocated": lambda *_: self.allocated(),
                "torch.cuda.memory_reserved": lambda *_: self.allocated(),
                "torch.cuda.max_memory_allocated": lambda *_: self.most,
                "torch.cuda.reset_peak_memory_stats": self.reset_peak,
                "torch.cuda.set_per_process_memory_fraction": self.limit_to,
                "torch.cuda.get_device_name": lambda *_: "an emulated device",
            }
        else:
            found |= {
                "torch.mps.recommended_max_memory": lambda: self.limit,
                "torch.mps.current_allocated_memory": self.allocated,
            }
        return found


def _storage(tensor: Tensor):
    try:
        return tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):  # oneDNN's own, which hold none
        return None


def _tensors(values):
    """All tensors in nested tuples, lists and dicts."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _tensors(value)
    elif isinstance(values, dict):
        for value in values.values():
            yield from _tensors(value)


def _caller() -> str:
    """The nearest line outside torch and this file."""
    frame = sys._getframe(2)
    while frame and (frame.f_code.co_filename == __file__ or "/torch/" in frame.f_code.co_filename):
        frame = frame.f_back
    return f"{frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.f_lineno}" if frame else "?"
