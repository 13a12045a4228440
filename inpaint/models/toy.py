"""Compute an exact model without weights: the denoiser of a Gaussian random field with a 1/fᵖ spectrum.

If pictures were such fields, training would find exactly this UNet: a Wiener filter in Fourier space.  The
conditional distribution of a hole is known in closed form, so tests can measure how good a method is, not only that
it runs.  The toy fills holes smoothly, ignores the prompt, and needs no time to load.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..diffusion.conditioning import Text
from ..diffusion.schedule import alphas_cumprod
from ..errors import InvalidRequest

# brightness, red against green, both against blue; orthonormal, so that its transpose is its inverse
OPPONENT = torch.tensor([[1.0, 1, 1], [1, -1, 0], [1, 1, -2]])
OPPONENT = OPPONENT / OPPONENT.norm(dim=1, keepdim=True)
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


class Wiener:
    """Predict exactly: (x [B, c, h, w], t, text [N, …]) -> E[eps | x] [N, c, h, w] of the field; text is ignored."""

    def __init__(self, abar: Tensor, power: float = 4.0, std: tuple[float, ...] = (1.0,)):
        self.abar, self.power, self.std = abar, power, std

    def spectrum(self, h: int, w: int) -> Tensor:
        """Return [h, w]: the variance at each frequency of a field of unit variance."""
        fy, fx = torch.fft.fftfreq(h, dtype=torch.float64), torch.fft.fftfreq(w, dtype=torch.float64)
        f = (fy[:, None] ** 2 + fx[None] ** 2).sqrt()
        S = (f + 1 / max(h, w)) ** -self.power
        return S / S.mean()

    def __call__(self, x: Tensor, t: float, text: Text | None = None) -> Tensor:
        a = float(self.abar[int(t)])
        S = self.spectrum(*x.shape[-2:]).to(x) * x.new_tensor(self.std).square()[:, None, None]  # [c, h, w]
        X = torch.fft.fft2(x / a**0.5)
        x0 = torch.fft.ifft2(X * S / (S + (1 - a) / a)).real  # Wiener: signal over signal plus noise
        eps = (x - a**0.5 * x0) / (1 - a) ** 0.5
        return eps if text is None else eps.repeat(len(text) // len(x), 1, 1, 1)


class FlowWiener(Wiener):
    """Return the exact E[noise - x0 | x] of the field for a rectified flow: x = (1-σ) x0 + σ noise, σ = t / T."""

    def __init__(self, T: int = 1000, power: float = 4.0, std: tuple[float, ...] = (1.0,)):
        super().__init__(torch.empty(0), power, std)
        self.T = T

    def __call__(self, x: Tensor, t: float, text: Text | None = None) -> Tensor:
        sigma = t / self.T
        S = self.spectrum(*x.shape[-2:]).to(x) * x.new_tensor(self.std).square()[:, None, None]  # [c, h, w]
        signal = (1 - sigma) * S
        x0 = torch.fft.ifft2(torch.fft.fft2(x) * signal / ((1 - sigma) * signal + sigma**2)).real
        v = (x - x0) / sigma
        return v if text is None else v.repeat(len(text) // len(x), 1, 1, 1)


class Model:
    """The toy, with the interface of a loaded model; its latents are means of 8 × 8 pixels in opponent colours.

    They vary as in a calm photo: much in brightness, little in colour, next to nothing in the fourth channel.
    """

    name, fingerprint, side, factor, grid, channels = "toy", "toy-1", 256, 8, 8, 4
    methods, quality, guidance, eta, fill_strength, ground = ("base",), "", {"base": 7.5}, {"base": 0.0}, 1.0, False
    backend, predicts, few_steps = "torch", {"base": "epsilon"}, None

    def __init__(self):
        self.device, self.schedule = torch.device("cpu"), dict(SCHEDULE)
        self.alphas_cumprod = alphas_cumprod(SCHEDULE)
        self.wiener = Wiener(self.alphas_cumprod, std=(0.5, 0.1, 0.1, 0.01))
        self.notes: list[str] = []

    def embeds_guidance(self, method: str) -> bool:
        return False

    def unet(self, method: str, fast: bool = False, guidance: float | None = None) -> Wiener:
        if method != "base":
            raise InvalidRequest("method", "The toy model has no inpainting UNet.", "Use method base or auto.")
        return self.wiener

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Encode [B, 3, H, W] to [B, 4, H/8, W/8]."""
        cells = F.avg_pool2d(pixels.float(), self.factor)
        return F.pad(torch.einsum("oc,bchw->bohw", OPPONENT, cells), (0, 0, 0, 0, 0, 1))

    def decode(self, latents: Tensor) -> Tensor:
        """Decode [B, 4, h, w] to [B, 3, 8 h, 8 w]."""
        cells = torch.einsum("oc,bohw->bchw", OPPONENT, latents[:, :3])
        return F.interpolate(cells, scale_factor=self.factor, mode="bilinear", align_corners=False)

    def embed(
        self, prompts: list[str], *, clip_skip: int = 0, layer: str = "last", chunks: int | None = None
    ) -> Tensor:
        return torch.zeros(len(prompts), 1, 1)

    def preview(self, latents: Tensor) -> None:
        """Return None: previews are fitted to the picture."""

    def context(self, hole: Tensor, painted: Tensor, masked: Tensor) -> Tensor:
        return torch.cat([hole, masked], dim=1)

    def free_some_memory(self, network: str) -> None:
        return None  # it takes no memory worth freeing

    def restore_policy(self) -> None:
        pass

    def widen_unet(self) -> bool:
        return False  # it computes in float32 already

    def free(self) -> None:
        pass
