"""Hold the encoded prompts as several tensors, for denoisers that take more than the words' embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Conditioning:
    """Several tensors with one row per prompt, such as words and pooled text; it has the methods of one tensor."""

    tensors: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, k: int) -> Tensor:
        return self.tensors[k]

    def chunk(self, chunks: int) -> list[Conditioning]:
        """Split the rows into this many parts."""
        return [Conditioning(part) for part in zip(*(each.chunk(chunks) for each in self.tensors), strict=True)]

    def repeat_interleave(self, repeats: int, dim: int = 0) -> Conditioning:
        """Repeat each row."""
        return Conditioning(tuple(each.repeat_interleave(repeats, dim) for each in self.tensors))

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Conditioning:
        """Move every tensor, and convert those of floating point."""
        return Conditioning(
            tuple(each.to(device, dtype if each.is_floating_point() else each.dtype) for each in self.tensors)
        )


Text = Tensor | Conditioning
