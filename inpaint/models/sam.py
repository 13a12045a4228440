"""Outline things with SAM 2 (Ravi et al. 2024), a model of transformers, from a folder or a Hub id.

transformers' own processor needs torchvision; what it does, scaling to a square and normalising, is done here.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import torch

from ..errors import InvalidRequest, ModelError
from ..memory.device import pick
from ..pixels.crop import Box
from ..pixels.objects.marks import Marks
from ..pixels.objects.search import around
from ..pixels.objects.segment import Segment
from ..pixels.objects.source import Piece, Source
from . import hub, weight_files

WEIGHTS = "model.safetensors"
KINDS = ("sam2", "sam2_video")  # the Hub's files of SAM 2 hold the video model, of which this one is a part
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours
POINTS = 8  # of a line
FINE = 512  # pixels: long side of the outline before it is brought to the photo's own resolution
ADVICE = "Name a folder or a Hub id of SAM 2, such as facebook/sam2.1-hiera-tiny."


def find(name: str, progress: hub.OnProgress | None = None) -> Path:
    """Return the folder of a SAM 2 model, downloaded if `name` is a Hub id; `weights_bytes` tells its size.

    Raises ModelError if it holds another model, ModelUnavailable if it cannot be downloaded.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = hub.fetch(name, parts=("model",), progress=progress)
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{name[:60]} holds no model with a config.json.", ADVICE) from error
    if kind not in KINDS or not (folder / WEIGHTS).is_file():
        raise ModelError(f"{name[:60]} is no SAM 2 model with {WEIGHTS}.", ADVICE)
    return folder


def weights_bytes(folder: Path) -> int:
    """Return how many bytes the weights take."""
    return (folder / WEIGHTS).stat().st_size


def load(name: str, device: str = "auto", progress: hub.OnProgress | None = None) -> Sam:
    """Return the model, ready to outline things; see `find`."""
    from transformers import Sam2Model

    folder = find(name, progress)
    weight_files.header(folder / WEIGHTS)  # its errors say exactly what is wrong
    with weight_files.readable(folder.name):
        model, told = Sam2Model.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    lacking = [*told["missing_keys"], *told["mismatched_keys"]]
    if lacking:
        raise ModelError(f"{WEIGHTS} lacks {len(lacking)} parts of SAM 2.", "Download it again.")
    return Sam(model.eval().to(pick(device)))


class Sam:
    """Finds what marks on a photo mean, as `objects.search.found` does; a photo is looked at once."""

    def __init__(self, model: Any):
        self.model = model
        side = model.config.prompt_encoder_config.image_size
        self.side = side if isinstance(side, int) else max(side)
        self._lock = threading.Lock()
        self._seen: tuple[Source, list[torch.Tensor]] | None = None

    @torch.no_grad()
    def __call__(self, source: Source, marks: Marks) -> Segment:
        """Return the thing that is meant; raise InvalidRequest if the model sees none."""
        with self._lock:
            asked = self._asked(marks, source.size)
            told = self.model(
                image_embeddings=self._embeddings(source), multimask_output=len(marks.line) == 1, **asked
            )
        best = int(told.iou_scores[0, 0].argmax())
        logits = told.pred_masks[0, 0, best].float()[None, None]
        high, wide = source.small.shape[:2]
        inside = torch.nn.functional.interpolate(logits, (high, wide), mode="bilinear", align_corners=False)[0, 0] > 0
        thing = inside.cpu().numpy()
        if not thing.any():
            raise InvalidRequest("mask", "Nothing stands out there.", "Draw a line over the thing, or circle it.")
        whole = Piece(source.small, Box(0, 0, *source.size), wide / source.size[0])
        piece, fine = around(source, Segment(thing, whole, 0), FINE)
        return Segment(fine, piece, 0)

    def _embeddings(self, source: Source) -> list[torch.Tensor]:
        """Return what the model sees in a photo."""
        if self._seen is None or self._seen[0] is not source:
            self._seen = None
            pixels = torch.tensor(source.small).permute(2, 0, 1)[None].float() / 255
            square = torch.nn.functional.interpolate(
                pixels, (self.side, self.side), mode="bilinear", antialias=True, align_corners=False
            )
            mean, spread = (torch.tensor(each)[None, :, None, None] for each in (MEAN, SPREAD))
            seen = self.model.get_image_embeddings(((square - mean) / spread).to(self.model.device))
            self._seen = source, seen
        return self._seen[1]

    def _asked(self, marks: Marks, size: tuple[int, int]) -> dict[str, torch.Tensor]:
        """Return the marks as the model takes them: points of the thing, or a box around it, in its square."""
        by = torch.tensor([self.side / size[0], self.side / size[1]])
        if marks.loop:
            corners = torch.tensor(marks.box).reshape(2, 2) * by
            return {"input_boxes": corners.reshape(1, 1, 4).to(self.model.device)}
        which = torch.linspace(0, len(marks.line) - 1, min(len(marks.line), POINTS)).round().int().tolist()
        points = torch.tensor([marks.line[k] for k in which]) * by
        labels = torch.ones(1, 1, len(points), dtype=torch.int32)
        return {
            "input_points": points[None, None].to(self.model.device),
            "input_labels": labels.to(self.model.device),
        }
