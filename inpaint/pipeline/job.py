"""Carry out one request, stage by stage: prepare, text, encode, denoise, decode, finish, report."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import version
from math import ceil
from typing import TYPE_CHECKING

from PIL import Image
from PIL.ImageChops import screen

from ..diffusion.protocols import LatentStep
from ..diffusion.schedule import runs
from ..errors import InvalidRequest
from ..memory.policy import MemoryFallback
from ..paths import without_folders
from ..pixels import crop, expand, ground, mask, seam
from ..request import Request
from ..result import Result
from .branch import Branch
from .closeup import CloseUp
from .defaults import resolved
from .filling import FillCache, Filled, as_result, fill_hole, under_walk
from .latents import LatentCache
from .passes import LARGE, Pass, close_ups, enlarged, parts, planned
from .preview import small
from .protocols import Model
from .step import PreviewRenderer, Step
from .timing import Timing

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..diffusion.conditioning import Text


SMALL = 512  # pixels, the longer side of what previews of tiles are drawn on


class Job:
    """One request being carried out; each stage is timed.

    branch  the kept step to continue from; None starts from noise
    """

    def __init__(
        self,
        model: Model,
        encoder: LatentCache,
        fill_cache: FillCache,
        asked: Request,
        method: str,
        branch: Branch | None = None,
    ):
        self.model, self.encoder, self.method, self.timing = model, encoder, method, Timing()
        self.fill_cache = fill_cache
        self.branch = branch
        self.asked, notes = resolved(branch.asked(asked) if branch else asked, model, method)
        seed = self.asked.seed or 0  # resolved: there is one
        self.seeds = tuple((seed + k) % 2**32 for k in range(self.asked.count))
        self.notes: list[str] = [*(asked.picture.notes if asked.picture else ()), *notes]
        self.fallback = MemoryFallback(model, self.notes, 1 if model.device.type == "cpu" else len(self.seeds))
        self.model.notes.clear()
        self.steps, self.steps_done, self.joined_by = 0, 0, "none"
        self.scores: list[float] = []
        with self.timing.stage("prepare"):
            self._prepare()
        if branch and len(self.crops) > 1:
            raise InvalidRequest(
                "islands",
                "A run over several islands has no single step to branch from.",
                "Paint one place, or switch islands off.",
            )

    def _prepare(self) -> None:
        request = self.request = self.asked
        self.masks = mask.prepare(request.picture, request) if request.picture else None
        self.picture = request.picture
        if self.picture and request.expand:
            self.picture = expand.expand(self.picture, request.expand)
        self.notes += self.masks.notes if self.masks else ()
        side = request.size or self.model.side
        self.crops = self._crops(side)
        self.passes = planned(self.crops, self.masks, request, side, self.model.grid, self._details())
        blank = self.picture.rgb if self.picture else Image.new("RGB", self.crops[0][0].size)
        self.images = [blank] * len(self.seeds)
        self.deep: dict[int, np.ndarray] = {}  # the 16 bits of images whose fill has them
        self.small: dict[int, Image.Image] = {}  # copies of images that tiles are being pasted into
        self.ground: Image.Image | None = None  # the picture that a walk begins from, if its hole is filled before

    def _details(self) -> bool:
        """Return whether large close-ups are painted again in tiles; `auto` leaves a filled ground as it is."""
        wanted = self.request.detail == "on" or (self.request.detail == "auto" and not self.model.ground)
        return wanted and self.branch is None

    def _crops(self, side: int) -> list[tuple[crop.Crop, crop.Box]]:
        """Return the close-ups to paint, each with the bounding box of its part of the mask."""
        request, grid = self.request, self.model.grid
        if self.picture is None:
            width, height = (max(64, round((n or side) / grid) * grid) for n in (request.width, request.height))
            whole = crop.Crop(crop.Box(0, 0, width, height), (width, height))
            return [(whole, whole.box)]
        boxes: list[crop.Box] = []
        if self.masks is not None and self._keeps_ground() and not request.whole:
            boxes = ground.places(self.masks.painted)
        elif self.masks is not None:
            boxes = parts(self.masks, request, max(request.context, side // 4))
        return close_ups(boxes, self.picture.size, request, side, grid)

    @property
    def unchanged(self) -> bool:
        """Return whether the picture stays as it is: nothing is filled and no step runs."""
        return self.request.strength == 0 and self.picture is not None and not self.fills

    @property
    def fills(self) -> bool:
        """Return whether the hole is filled from its surroundings first."""
        return self.request.fill == "patch" and self.masks is not None

    def paint(self) -> Generator[Step | Filled, None, None]:
        """Fill the hole from its surroundings if that is asked for, then walk unless the fill is the result."""
        if self.fills:
            yield from self.timing.each("fill", self._fill())
        if self.request.strength > 0 or self.picture is None:
            yield from self._walks()

    def _fill(self) -> Iterator[Filled]:
        """Yield the fill as it forms; keep it as the result of each seed, or as what the walks begin from."""
        picture, masks, request = self.picture, self.masks, self.request
        assert picture is not None and masks is not None
        if request.strength > 0:
            filled = yield from self.fill_cache(picture.rgb, masks)  # the same for all seeds
            self.ground = under_walk(picture.rgb, filled, masks)
            return
        self.method = "patch"
        for k, seed in enumerate(self.seeds):
            deep = None if picture.samples is None else picture.samples.copy()
            filled = yield from fill_hole(picture.rgb, masks, seed, deep)
            if deep is not None:
                self.deep[k] = deep
            self.images[k], self.joined_by, score = as_result(picture.rgb, filled, masks, request, picture.alpha)
            self.scores.append(score)

    def _keeps_ground(self) -> bool:
        """Return whether the fill stays around what is drawn: by a model that draws the ground less well."""
        return self.model.ground and self.request.strength == 1 and self.fills

    def _walks(self) -> Iterator[Step]:
        """Walk every close-up for every seed, yield its steps, and paste each patch as it is ready."""
        request = self.request
        self._advise(runs(request.steps, request.strength, request.exact_steps, len(self.model.alphas_cumprod)))
        with self.timing.stage("text"):
            prompt = ", ".join(part for part in (request.prompt.strip(), self.quality()) if part)
            text = self.fallback.run(
                "text",
                lambda: self.model.embed(
                    [request.negative_prompt, prompt], clip_skip=request.clip_skip, layer=request.text_layer
                ),
            )
        if self.ground and (self.passes[0].tile is not None or self._keeps_ground()):
            self.images = [self.ground] * len(self.seeds)
        for index, one in enumerate(self.passes):
            composite = self._composite(one)
            with self.timing.stage("encode"):
                closeup = self.fallback.run("vae", partial(self._closeup, one))
                if self.model.device.type != "cpu":  # previews need it; later the VAE would displace the UNet for it
                    self.encoder.prior()
            first = one.first
            while first < one.first + one.count:
                first += yield from self._walk(closeup, one, first, text, composite, self.passes[index + 1 :])

    def _closeup(self, one: Pass) -> CloseUp:
        """Return the close-up of a pass: of the picture as it was, or for a tile of the picture so far."""
        where, hole = one.where, self.masks and self.masks.hole
        picture, filled, ground = self.picture and self.picture.rgb, self.ground, None
        if one.tile is not None:
            picture, filled = self.images[one.first], None
        elif self._keeps_ground():
            picture = ground = filled  # the hole is repainted in part only
        if hole and (one.tile is not None or self._keeps_ground()):
            hole = hole.within(one.part.grown(one.request.margin))
        return CloseUp(
            self.model,
            self.encoder,
            one.request,
            self.method,
            where,
            where.cut(picture) if picture else None,
            where.cut(hole) if hole else None,
            where.cut(filled) if filled else None,
            ground.crop(where.box) if ground else None,
        )

    def _advise(self, run: int) -> None:
        """Note settings that have less effect than they seem to."""
        request = self.request
        if request.negative_prompt and request.guidance_scale == 1:
            self.notes.append("Without guidance (1) the negative prompt has no effect.")
        times = max(enlarged(where) for where, _ in self.crops)
        if times > LARGE and self.picture is not None and all(one.tile is None for one in self.passes):
            share = round(100 / times)
            self.notes.append(
                f"The model painted at {share} % of this size, so it is softer than the photo around it."
            )
        if request.exact_steps and run > request.strength * len(self.model.alphas_cumprod):
            self.notes.append(
                f"Strength {request.strength:g} has fewer than {run} noise levels: some above it are used too."
            )
        elif run < min(4, request.steps):
            self.notes.append(
                f"At strength {request.strength:g} only {run} of {request.steps} steps run; "
                "ask for exact steps to run all."
            )

    def _walk(
        self, closeup: CloseUp, one: Pass, first: int, text: Text, composite, later: list[Pass]
    ) -> Generator[Step, None, int]:
        """Walk as many seeds from `first` on as memory allows, paste their patches, and return their number.

        When memory runs out, the walk begins again with fewer seeds or a leaner policy; when the UNet produces NaN or
        infinity, with the UNet in a wider dtype.
        """
        while True:
            seeds, ran, overflow = one.seeds(self.seeds)[first - one.first :][: self.fallback.batch], 0, False
            try:
                render = self._renderer(closeup, one, first, composite)
                for step in self.timing.each("denoise", closeup.walk(seeds, text, self.branch)):
                    last = step.index + 1 == step.total
                    overflow = (not ran or last) and self._overflows(step.x)  # each check waits for the device
                    if overflow:
                        break
                    ran += 1
                    total = self.steps_done + self._steps_left(one, first, later)
                    counted = replace(step, index=self.steps_done + step.index, total=total)
                    yield self.shown(counted, first, self.seeds[first], closeup.noise.states(), render)
            except Exception as error:
                self.fallback.free_some_memory("unet", error)
                continue
            if overflow:
                continue
            self._paste(closeup, one, first, step.x, composite)
            if first == 0 and not (self.branch and self.branch.finish):
                self.steps += ran  # of each picture, however many are made at a time
            self.steps_done += step.total
            return len(seeds)

    def _overflows(self, x: Tensor) -> bool:
        """Return whether x holds NaN or infinity and the UNet now runs in a wider dtype."""
        return not x.isfinite().all() and self.model.widen_unet()

    def _steps_left(self, one: Pass, first: int, later: list[Pass]) -> int:
        """Return the steps of this walk and of those after it; a walk may hold several images."""
        T, batch = len(self.model.alphas_cumprod), self.fallback.batch
        here = one.steps(T) * ceil((one.first + one.count - first) / batch)
        return here + sum(each.steps(T) * ceil(each.count / batch) for each in later)

    def shown(self, step: LatentStep, image_index: int, seed: int, noise, render: PreviewRenderer) -> Step:
        """Return the step with the data to preview it and to continue from it."""
        latents = step.index, step.total, step.t, step.x, step.pred_x0, step.seen, step.memory
        return Step(*latents, image_index, seed, self.timing.total(), noise, render)

    def _renderer(self, closeup: CloseUp, one: Pass, first: int, composite) -> PreviewRenderer:
        """Return what draws the steps of a walk; all tiles share a small copy, so that kept steps need no memory."""
        picture = self.images[first]
        if one.tile is None:
            return PreviewRenderer(closeup, picture, composite)
        if first not in self.small:
            self.images[first] = picture.copy()  # from now on every tile is pasted into it
            self.small[first] = small(picture, SMALL).copy()
        return PreviewRenderer(closeup, self.small[first], composite, picture.size)

    def _paste(self, closeup: CloseUp, one: Pass, first: int, x, composite) -> None:
        with self.timing.stage("decode"):
            patches = self.fallback.run("vae", partial(closeup.patches, x))
        with self.timing.stage("finish"):
            box = closeup.crop.box
            for k, patch in enumerate(patches, first):
                if composite is not None and self.masks is not None and self.picture is not None:
                    pasted, original, hole = composite.crop(box), self.images[k].crop(box), self.masks.hole.crop(box)
                    alpha = self.picture.alpha and self.picture.alpha.crop(box)
                    patch, self.joined_by = closeup.join(original, patch, pasted, hole, alpha)
                    self.scores.append(seam.seam_score(patch, pasted))
                if one.tile is None:
                    self.images[k] = self.images[k].copy()
                self.images[k].paste(patch, box[:2])
                if one.tile is not None:
                    self._shrink(k, box)

    def _shrink(self, k: int, box: crop.Box) -> None:
        """Bring a part of an image's small copy up to date, which previews of tiles are drawn on."""
        image, copy = self.images[k], self.small[k]
        scale = copy.width / image.width
        left, top, right, bottom = (round(n * scale) for n in box)
        if right > left and bottom > top:
            copy.paste(image.resize((right - left, bottom - top), Image.Resampling.BILINEAR, box), (left, top))

    def _composite(self, one: Pass) -> mask.SparseMask | None:
        """Return the composite mask of a pass; of several islands or tiles only its own part."""
        if self.masks is None or (len(self.crops) == 1 and one.tile is None):
            return self.masks and self.masks.composite
        return one.composite(self.masks.composite)

    def result(self) -> Result:
        """Return the pictures with their alpha, profile and EXIF, and the report."""
        with self.timing.stage("report"):
            images = tuple(self._with_metadata(image, k) for k, image in enumerate(self.images))
            facts = self._report(images)
        facts["seconds"] = self.timing.rounded()
        return Result(images, self.asked, facts, self.model_facts(), self.seeds)

    def _with_metadata(self, image: Image.Image, k: int) -> Image.Image:
        if self.picture is None:
            return image
        picture = replace(self.picture, samples=self.deep[k]) if k in self.deep else self.picture
        alpha = picture.alpha
        if alpha is not None and self.masks and self.masks.opacity:
            alpha = screen(alpha, self.masks.opacity.whole())  # painted pixels become visible
        return picture.repainted(image, alpha)

    def _report(self, images) -> dict:
        facts = {
            "method": self.method,
            "steps": self.steps,
            "size": list(images[0].size),
            "crops": [] if self.method == "patch" else self._close_ups(),
            "fill": self.request.fill,
            "finish": self.joined_by,
            "notes": self.notes + self.model.notes + ([self.branch.note()] if self.branch else []),
        }
        if self.masks is not None and self.picture is not None:
            before = self.picture.repainted(self.picture.rgb) if self.picture.alpha else self.picture.rgb
            facts["max_change_outside"] = max(
                seam.max_change_outside(before, image, self.masks.painted) for image in images
            )
            facts["blend_width"] = seam.blend_width(self.masks.composite.crop(self.masks.box))
            facts["seam_score"] = round(max(self.scores, default=0.0), 3)
        return facts

    def _close_ups(self) -> list[dict]:
        """Return every close-up that was painted, tiles included, in order."""
        every = dict.fromkeys(one.where for one in self.passes)
        return [{"box": list(where.box), "size": list(where.size)} for where in every]

    def quality(self) -> str:
        """Return the words added to the prompt: those asked for, or the model's own."""
        asked = self.request.quality
        return self.model.quality if asked is None else asked.strip()

    def model_facts(self) -> dict:
        """Return the model's name, fingerprint and versions for the picture's record."""
        return {
            "name": without_folders(self.model.name),
            "fingerprint": self.model.fingerprint,
            "quality": self.model.quality,
            "backend": self.model.backend,
            **versions(),
        }


@cache
def versions() -> dict[str, str]:
    """Return the versions of the libraries that a picture depends on; cached, since reading takes milliseconds."""
    return {name: version(name) for name in ("torch", "diffusers", "transformers", "pillow")}
