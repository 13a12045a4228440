"""Turn pixels into latents and back; scaling to [-1, 1] and blanking the hole happen only here."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from . import preview
from .protocols import Model


def to_pixels(picture: Image.Image) -> Tensor:
    """Turn an RGB picture into [1, 3, H, W] in [-1, 1]."""
    array = torch.from_numpy(np.array(picture, dtype=np.float32))  # [H, W, 3]
    return array.permute(2, 0, 1)[None].contiguous() / 127.5 - 1


def to_hole(hole: Image.Image) -> Tensor:
    """Turn a hole (L) into [1, 1, H, W], 1 = repaint, where `LatentCache` blanks the picture."""
    return torch.from_numpy(np.array(hole) > 127).float()[None, None]


def to_images(pixels: Tensor) -> list[Image.Image]:
    """Turn [B, 3, H, W] in [-1, 1] into RGB pictures; rounded, not truncated."""
    array = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
    return [Image.fromarray(a) for a in array.cpu().numpy()]


class LatentCache:
    """Encode pictures, and cache the latents of the last `size`: a second run on the same picture encodes nothing."""

    def __init__(self, model: Model, size: int = 16):
        self.model, self.size = model, size
        self.cache: OrderedDict[bytes, Tensor] = OrderedDict()
        self.colours: Tensor | None = None

    @torch.no_grad()
    def __call__(self, picture: Image.Image, hole: Image.Image | None = None) -> Tensor:
        """Encode a picture to [1, 4, h, w], float32; with a `hole` (L, 255 = blank) the masked picture."""
        key = digest_of(picture, hole)
        if key not in self.cache:
            pixels = to_pixels(picture)
            if hole is not None:
                blank = torch.from_numpy(np.array(hole) > 127)
                pixels = pixels.masked_fill(blank, 0.0)  # exactly 0, as the weights were trained
            self.cache[key] = self.model.encode(pixels.to(self.model.device)).float()
            while len(self.cache) > self.size:
                self.cache.popitem(last=False)
        self.cache.move_to_end(key)
        return self.cache[key]

    def prior(self) -> Tensor:
        """Return the model's general map from latents to colours, [5, 3], for previews."""
        if self.colours is None:
            self.colours = preview.prior(self.model)
        return self.colours


def digest_of(picture: Image.Image, hole: Image.Image | None) -> bytes:
    """Return a digest of the pixels of a picture and its hole."""
    digest = blake2b(repr(picture.size).encode(), digest_size=16)
    digest.update(picture.tobytes())
    if hole is not None:
        digest.update(b"hole" + hole.tobytes())
    return digest.digest()
