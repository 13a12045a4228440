"""Hold a loaded model: UNets, or transformers, that share a VAE and text encoders."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import torch
from torch import Tensor, nn

from ..diffusion import schedule
from ..diffusion.conditioning import Text as PromptEmbeds
from ..diffusion.presets import FewSteps, told
from ..errors import InvalidRequest, ModelError
from ..files import fingerprint
from ..memory import device as devices
from ..memory import malloc
from ..memory import policy as memory
from ..memory.offload import Offloader
from ..unet import deepcache, forward, onednn, supported
from ..unet.backend import Engine
from . import families, lora, lora_merge, prompt_syntax
from .families.family import Run
from .lora import Lora
from .registry import Card
from .sources import ModelSource
from .text_encoder import Text
from .vae import Autoencoder, finite

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel


@dataclass(frozen=True, eq=False)
class ModelParts:
    """The parts of a model.

    source    the model that the text encoder is read from, again whenever LoRAs change
    unets     {method: the model that its UNet is read from when first needed}
    schedule  the settings of its scheduler that are used
    predicts  {method: epsilon, v_prediction or sample}
    side      the working size in pixels
    stamp     the fingerprint of all files except LoRAs
    few       what the model says about a preset for few steps
    previewer the VAE that decodes previews; None for a map fitted to the picture
    """

    name: str
    card: Card
    source: ModelSource
    unets: dict[str, ModelSource]
    schedule: dict[str, Any]
    predicts: dict[str, str]
    side: int
    autoencoder: Autoencoder
    texts: tuple[Text | Any, ...]  # of the family, as it reads them; an optional one may lack its encoder
    loras: tuple[Lora, ...]
    stamp: str
    few: FewSteps | None = None
    previewer: Autoencoder | None = None


class Model:
    """A loaded model with its four calls: embed, encode, unet, decode; latents are float32 outside them.

    side      the working size in pixels that it was trained for
    factor    pixels per latent cell, across and down
    channels  of a latent
    """

    def __init__(
        self,
        parts: ModelParts,
        device: torch.device,
        dtype: torch.dtype,
        policy: memory.Policy,
        engine: Engine | None = None,
    ):
        card = parts.card
        self.parts, self.name, self.device, self.dtype, self.policy = parts, parts.name, device, dtype, policy
        self.applied, self.unet_dtype = policy, dtype  # the policy now in force, which a job may make leaner
        self.engine = engine  # runs UNets in torch's place, if there is one
        self.quality, self.fill_strength, self.ground = card.quality, card.fill_strength, card.ground
        self.family = parts.source.family
        self.guidance = card.guidance or {
            method: self.family.guidance(source.unet_config()) for method, source in parts.unets.items()
        }
        self.eta = card.eta or {"base": 0.0, "inpaint": 0.0}
        self.methods = tuple(method for method in ("base", "inpaint") if method in parts.unets)
        self.schedule, self.predicts, self.side = parts.schedule, parts.predicts, parts.side
        self.alphas_cumprod = schedule.alphas_cumprod(parts.schedule)
        self.autoencoder, self.texts, self.notes = parts.autoencoder, parts.texts, parts.autoencoder.notes
        self.factor, self.channels = parts.autoencoder.factor, parts.autoencoder.channels
        self.grid = max(8, self.factor * self.family.patch)
        self.unets: dict[str, UNet2DConditionModel] = {}
        self.sliced: WeakSet[UNet2DConditionModel] = WeakSet()  # UNets run by diffusers, with attention in slices
        self.loras = list(parts.loras)
        self.fingerprint = fingerprint_with(parts.stamp, self.loras)
        self.offloader = Offloader(device, policy)

    @property
    def backend(self) -> str:
        """Return the library that runs the UNets loaded so far: torch or openvino."""
        return "openvino" if self.engine and any(map(self.engine.runs, self.unets.values())) else "torch"

    @property
    def few_steps(self) -> FewSteps | None:
        """Return the preset for few steps that the LoRAs or the model tell by their names."""
        used = [lora for lora in self.loras if lora.weight]
        return told([title for lora in used for title in lora.titles], lora=True) or self.parts.few

    @property
    def vae(self) -> AutoencoderKL:
        return self.autoencoder.network

    @property
    def text(self) -> Text:
        """Return the first text encoder, with its tokenizer."""
        return self.texts[0]

    def embeds_guidance(self, method: str) -> bool:
        """Return whether this UNet takes the guidance scale as an input, so that no unconditional pass is needed."""
        return self.family.embeds_guidance(self._network(method).config)

    def unet(self, method: str, fast: bool = False, guidance: float | None = None) -> Run:
        """Return (x [B, c, h, w], t, text of N rows) -> prediction [N, 4, h, w], float32: see `predicts`.

        N is B or a multiple of it.  The callable caches what does not change along a walk, and with `fast` the
        features of earlier steps, so use a new one for each walk.  `guidance` is the scale for a UNet that
        `embeds_guidance`.
        """
        network = self._network(method)
        run = self._runner(network, method, fast, self.guidance[method] if guidance is None else guidance)
        cached: tuple[PromptEmbeds, PromptEmbeds] | None = None  # the text, and the same as the network takes it
        dtype = self.unet_dtype

        @torch.no_grad()
        def predict(x: Tensor, t: float, text: PromptEmbeds) -> Tensor:
            nonlocal cached
            if cached is None or not same_text(cached[0], text):
                cached = text, text.to(x.device, dtype)
            with self.offloader.on_device(network):
                return run(x.to(dtype), t, cached[1]).float()

        return predict

    def embed(
        self, prompts: list[str], *, clip_skip: int = 0, layer: str = "last", chunks: int | None = None
    ) -> PromptEmbeds:
        """Embed prompts of any length with weights in brackets: [B, n, d], float32, all as long as the longest.

        Families whose networks take more than the words' embeddings return several such tensors.

        Adds to `notes` a sentence for each part of a prompt that is not understood, and the remarks on the model's
        files.
        """
        remarks = [note for source in dict.fromkeys(self.parts.unets.values()) for note in source.notes]
        for prompt in prompts if chunks is None else ():
            remarks += prompt_syntax.notes(
                prompt, self.text.learned, {Path(one.name).stem: one.weight for one in self.loras}
            )
        self.notes += [note for note in dict.fromkeys(remarks) if note not in self.notes]
        asked = families.Prompts(prompts, clip_skip, layer, chunks)
        return self.family.encode(self.texts, asked, self.offloader.on_device).to(self.device)

    def context(self, hole: Tensor, painted: Tensor, masked: Tensor) -> Tensor:
        """Return the inputs of an inpainting network beside x: see `Family.context`."""
        return self.family.context(hole, painted, masked)

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Encode [B, 3, H, W] in [-1, 1] to scaled latents [B, 4, h, w]: the mode, or with noise a sample."""
        return self._by_vae(lambda: self.autoencoder.encode(pixels.to(self.device), noise))

    def decode(self, latents: Tensor) -> Tensor:
        """Decode [B, 4, h, w] to [B, 3, H, W], float32; repeat it in float32 if half precision gives NaN."""
        return self._by_vae(lambda: self.autoencoder.decode(latents.to(self.device)))

    def preview(self, latents: Tensor) -> Tensor | None:
        """Decode [1, c, h, w] by the VAE for previews; None if there is none, or if it gives NaN."""
        if self.parts.previewer is None:
            return None
        self.parts.previewer.network.to(self.device)  # a few megabytes, which stay there
        pixels = self.parts.previewer.decode(latents.to(self.device))
        return pixels if pixels.isfinite().all() else None

    def set_loras(self, loras: Iterable[Any]) -> None:
        """Merge exactly these LoRAs into the weights: "path", "path:0.8" or (path, weight); [] removes all.

        Raises ModelError if one of them cannot be used; nothing changes then.
        """
        before, wanted = self.loras, [entry if isinstance(entry, Lora) else lora.read(entry) for entry in loras]
        if not before and not wanted:
            return
        config, known = self.parts.source.unet_config(), self.family.networks()
        lora_merge.check_kind(wanted, self.family.title, config, known)
        changed = {name for one in (*before, *wanted) for name in known if one.changes[name]}
        try:
            self._reload(wanted, changed)
        except ModelError:
            self._reload(before, changed)
            raise

    def free_some_memory(self, network: str) -> str | None:
        """Make the policy leaner for this network ("unet", "vae", "text"); return a note, None if nothing is left."""
        if self.engine and self.backend == "openvino":
            self._apply(replace(self.applied, second_copy=False))
            self.engine.release(*self.unets.values())
            return "Memory ran out: torch runs the UNet, without OpenVINO's copy of its weights."
        step = memory.next_policy(self.applied, self.device.type, network)
        if step is None:
            return None
        self._apply(step[0])
        return step[1]

    def restore_policy(self) -> None:
        """Restore the policy that the model was loaded with."""
        if self.applied != self.policy:
            self._apply(self.policy)

    def widen_unet(self) -> bool:
        """Read the UNet again in a dtype of larger range, after NaN or infinity; return False if there is none."""
        wider = devices.wider(self.unet_dtype, self.device)
        if wider is None:
            return False
        names = [str(dtype).removeprefix("torch.") for dtype in (self.unet_dtype, wider)]
        self.notes.append("The UNet produced invalid numbers in {} and runs in {} from here on.".format(*names))
        self.unet_dtype = wider
        self._drop_unets()
        return True

    def free(self) -> None:
        """Free memory that is only cached, on the device and in this process."""
        if self.device.type != "cpu":
            gc.collect()
            devices.empty_cache(self.device)
        malloc.trim(malloc.ENOUGH)

    def _network(self, method: str) -> UNet2DConditionModel:
        if method not in self.parts.unets:
            raise InvalidRequest("method", f"The model {self.name} has no {method} UNet.", "Use method auto.")
        if method not in self.unets:
            network = self.parts.unets[method].unet(method, self.unet_dtype).requires_grad_(False)
            lora_merge.merge(network, "unet", self.loras)
            if self.device.type == "cuda":  # its convolutions are quicker in this layout
                network.to(memory_format=torch.channels_last)
            if self.offloader.too_tight(network):
                self._drop_unets()  # there is room for only one
            self.unets[method] = network
            self._place()
        return self.unets[method]

    def _runner(self, network: UNet2DConditionModel, method: str, fast: bool, guidance: float) -> Run:
        """Return a callable that runs this network, in full or with DeepCache, by torch or by the engine."""
        compiled = None
        if self.engine:
            compiled = self.engine.runner(
                network, self.parts.unets[method].unet_files(method), self.loras, self.applied
            )
        if compiled is None and self._small(network):
            onednn.prepack(network)
        if not supported.fits(network):
            return self.family.run(network, guidance, self.factor)
        walked = forward.UNet(network, sliced=self.applied.attention_slicing)
        if fast:
            return deepcache.DeepCache(walked, run=compiled)
        return lambda *inputs: (compiled or walked)(*inputs)[0]

    def _small(self, network: nn.Module) -> bool:
        """Return whether prepacked weights pay: on a CPU, in float32, for a network small enough to store twice."""
        size = sum(weight.numel() for weight in network.parameters())
        resident = self.device.type == "cpu" and self.applied.placement == "resident"
        return resident and self.unet_dtype is torch.float32 and size < devices.SMALL

    def _reload(self, loras: list[Lora], encoders: set[str]) -> None:
        """Read the UNets and these text encoders from their files again, with these LoRAs."""
        loaded, self.loras = list(self.unets), loras
        self._drop_unets()
        for text, spec in zip(self.texts, self.family.encoders, strict=True):
            if spec.loras in encoders and text.encoder is not None:
                text.replace_encoder(lora_merge.encoder(self.parts.source, spec, self.dtype, loras))
        self.fingerprint = fingerprint_with(self.parts.stamp, loras)
        self._place()
        for method in loaded:
            self._network(method)

    def _drop_unets(self) -> None:
        self.offloader.evict()
        self.unets.clear()
        self.free()

    def _apply(self, policy: memory.Policy) -> None:
        self.applied = policy
        self._place()

    def _place(self) -> None:
        """Move every network to the place that the current policy gives it."""
        sliced = self.applied.attention_slicing
        for network in self.unets.values():
            if sliced != (network in self.sliced) and not supported.fits(network):
                if hasattr(network, "set_attention_slice"):  # the others are run by forward.UNet
                    network.set_attention_slice("auto" if sliced else None)
                (self.sliced.add if sliced else self.sliced.discard)(network)
        (self.vae.enable_tiling if self.applied.vae_tiling else self.vae.disable_tiling)()
        encoders = [text.encoder for text in self.texts if text.encoder is not None]
        self.offloader.apply(self.applied, [self.vae, *encoders, *self.unets.values()])

    def _by_vae(self, run: Callable[[], Tensor]) -> Tensor:
        with self.offloader.on_device(self.vae):
            output = run()
        if not output.isfinite().all() and self.autoencoder.widen():
            self._place()
            with self.offloader.on_device(self.vae):
                output = run()
        return finite(output)


def same_text(a: PromptEmbeds, b: PromptEmbeds) -> bool:
    """Return whether two conditionings are the same memory; their values are not read."""
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return isinstance(a, Tensor) and isinstance(b, Tensor) and forward.same_memory(a, b)
    return all(map(forward.same_memory, a.tensors, b.tensors))


def fingerprint_with(stamp: str, loras: Iterable[Lora]) -> str:
    """Return the fingerprint of a model with these LoRAs."""
    return fingerprint.combined(stamp, [(one.stamp, one.weight) for one in loras])
