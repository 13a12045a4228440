"""A loaded model: UNets that share a VAE and a text encoder, each called through one door."""

from __future__ import annotations

import gc
from collections.abc import Callable
from hashlib import blake2b

import torch
from torch import Tensor, nn

from . import lora, memory
from .errors import InvalidRequest, ModelError
from .placing import Placing
from .text import Text

SCHEDULE = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "trained_betas")


class Model:
    """What the conductor needs: embed, encode, unet, decode; latents are float32 outside these four.

    side  the working size in pixels it was trained for;  factor  pixels a latent cell;  channels  of a latent
    """

    def __init__(self, name: str, parts, device: torch.device, dtype: torch.dtype, policy: memory.Policy, *,
                 extra=None, vae=None, loras: list | tuple = (), quality: str = ""):
        self.name, self.parts, self.device, self.dtype, self.policy = name, parts, device, dtype, policy
        self.quality, self.notes = quality, []
        self.lenders = dict.fromkeys(parts.methods, parts)
        self.lenders |= {method: extra for method in (extra.methods if extra else ()) if method == "inpaint"}
        self.methods = tuple(method for method in ("base", "inpaint") if method in self.lenders)
        config = parts.schedule()
        self.schedule = {key: config[key] for key in SCHEDULE if config.get(key) is not None}
        self.alphas_cumprod, self.prediction = alphas_cumprod(config), config.get("prediction_type", "epsilon")
        self.vae = (vae or parts).vae(dtype).to(memory_format=torch.channels_last)
        self.text = Text(parts.tokenizer(), parts.text_encoder(dtype))
        self.factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.channels, self.side = self.vae.config.latent_channels, self.side_of(parts)
        self.unets: dict[str, nn.Module] = {}
        self.fingerprint = fingerprint(sorted({*parts.files(), *(extra.files() if extra else ())}))
        self.merged: dict[int, lora.Merged] = {}
        self.placing = Placing(device, policy)
        self.set_loras(list(loras))
        self._place()

    @staticmethod
    def side_of(parts) -> int:
        return 8 * int(parts.unet_config().get("sample_size") or 64)

    def unet(self, method: str) -> Callable[[Tensor, float, Tensor], Tensor]:
        """(x [N, 4 | 9, h, w], t, text [N, n, d]) -> eps [N, 4, h, w], float32, whatever the network predicts."""
        network = self._network(method)

        def predict(x: Tensor, t: float, text: Tensor) -> Tensor:
            with self.placing.at_work(network):
                dtype = next(network.parameters()).dtype
                out = network(x.to(dtype), torch.as_tensor(t, device=x.device),
                              encoder_hidden_states=text.to(x.device, dtype)).sample.float()
            return self._eps(out, x[:, : self.channels], int(t))

        return predict

    def embed(self, prompts: list[str], *, clip_skip: int = 0, layer: str = "last",
              chunks: int | None = None) -> Tensor:
        """[B, n, d], float32: prompts of any length, weights in brackets, all as long as the longest."""
        with self.placing.at_work(self.text.encoder):
            return self.text.embed(prompts, clip_skip=clip_skip, layer=layer, chunks=chunks).to(self.device)

    @torch.no_grad()
    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """[B, 3, H, W] in [-1, 1] -> scaled latents [B, 4, h, w]: the posterior's mode, or with noise a sample."""
        with self.placing.at_work(self.vae):
            posterior = self.vae.encode(pixels.to(self.device, self._vae_dtype())).latent_dist
        z = posterior.mode() if noise is None else posterior.mean + posterior.std * noise.to(self.device)
        return (z * self.vae.config.scaling_factor).float()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """[B, 4, h, w] -> [B, 3, H, W], float32; never a black picture: what is no number is tried in float32."""
        with self.placing.at_work(self.vae):
            pixels = self._decoded(latents)
            if not pixels.isfinite().all() and self._vae_dtype() != torch.float32:
                self.vae.to(dtype=torch.float32)
                self.notes.append("The VAE produced no valid numbers and now runs in float32.")
                pixels = self._decoded(latents)
        if not pixels.isfinite().all():
            raise ModelError("The VAE produced no valid numbers, not even in float32.", "Try another VAE or model.")
        return pixels

    def set_loras(self, loras: list) -> None:
        """Exactly these LoRAs, "path:0.8" or (path, weight), are in the weights afterwards; [] restores them."""
        if self.placing.streamed:
            raise ModelError("LoRAs cannot be changed while layers take turns on the device.",
                             "Load the model again with them.")
        asked = [lora.parse(entry) for entry in loras]
        self.loras = [(lora.read(path), weight) for path, weight in asked]
        self.text.forget()
        try:
            self._merge(self.text.encoder, "text_encoder")
            for network in self.unets.values():
                self._merge(network, "unet")
        except ModelError:
            if loras:
                self.set_loras([])
            raise

    def relieve(self) -> str | None:
        """One rung down the memory ladder, said in a sentence; None at its foot."""
        step = memory.rung(self.policy, self.device.type)
        if step is None:
            return None
        self.policy, sentence = step
        self._place()
        return sentence

    def free(self) -> None:
        """Give memory that is only cached back to the device."""
        if self.device.type != "cpu":
            gc.collect()
            getattr(torch, self.device.type).empty_cache()

    def _network(self, method: str) -> nn.Module:
        if method not in self.lenders:
            raise InvalidRequest("method", f"The model {self.name} has no {method} UNet.", "Use method auto.")
        if method not in self.unets:
            network = self.lenders[method].unet(method, self.dtype)
            self._merge(network, "unet")
            if self.policy.placement != "resident":
                self.unets.clear()  # one UNet at a time
            self.unets[method] = network
            self._place()
        return self.unets[method]

    def _place(self) -> None:
        for network in self.unets.values():
            network.set_attention_slice("auto" if self.policy.attention_slicing else None)
        (self.vae.enable_tiling if self.policy.vae_tiling else self.vae.disable_tiling)()
        self.placing.settle(self.policy, [self.vae, self.text.encoder, *self.unets.values()])

    def _merge(self, network: nn.Module, part: str) -> None:
        merged = self.merged.setdefault(id(network), lora.Merged())
        merged.set(network, [(deltas[part], weight) for deltas, weight in self.loras])

    def _vae_dtype(self) -> torch.dtype:
        return next(self.vae.parameters()).dtype

    def _decoded(self, latents: Tensor) -> Tensor:
        z = latents.to(self.device, self._vae_dtype()) / self.vae.config.scaling_factor
        return self.vae.decode(z).sample.float()

    def _eps(self, out: Tensor, x: Tensor, t: int) -> Tensor:
        """eps from what the network predicts of x = √ᾱ x0 + √(1-ᾱ) eps: eps itself, v (Salimans & Ho 2022), or x0."""
        a = float(self.alphas_cumprod[t])
        if self.prediction == "v_prediction":
            return a**0.5 * out + (1 - a) ** 0.5 * x
        if self.prediction == "sample":
            return (x - a**0.5 * out) / (1 - a) ** 0.5
        return out


def alphas_cumprod(config: dict) -> Tensor:
    """ᾱ [T], float64, from a scheduler's configuration."""
    start, end, T = config["beta_start"], config["beta_end"], config.get("num_train_timesteps", 1000)
    if config.get("trained_betas") is not None:
        betas = torch.tensor(config["trained_betas"], dtype=torch.float64)
    elif config.get("beta_schedule") == "linear":
        betas = torch.linspace(start, end, T, dtype=torch.float64)
    elif config.get("beta_schedule") == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, T, dtype=torch.float64) ** 2
    else:
        raise ModelError(f"The schedule {config.get('beta_schedule')!r} is not known here.", "Use another model.")
    return (1 - betas).cumprod(0)


def fingerprint(files, sample: int = 1 << 20) -> str:
    """12 hex digits of the weights: each file's size, first and last MiB, which hold its header and tail."""
    digest = blake2b(digest_size=6)
    for path in files:
        size = path.stat().st_size
        with open(path, "rb") as file:
            digest.update(size.to_bytes(8, "little") + file.read(sample))
            file.seek(max(0, size - sample))
            digest.update(file.read(sample))
    return digest.hexdigest()
