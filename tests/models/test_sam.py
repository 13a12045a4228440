"""SAM 2 is loaded from a folder or a Hub, sees the photo as transformers means it to, and outlines what is meant."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image

import inpaint
from inpaint import InvalidRequest, ModelError, ModelUnavailable
from inpaint.models import sam
from inpaint.pixels.objects import Source, select
from inpaint.pixels.objects.marks import Marks
from tests.models import hub_stub


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A SAM 2 of 64 × 64 pixels with random weights, as transformers writes it."""
    from transformers import Sam2Config, Sam2Model
    from transformers.models.sam2.configuration_sam2 import Sam2HieraDetConfig, Sam2VisionConfig

    torch.manual_seed(0)
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[64, 64],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[4, 4, 4, 2],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=32,
    )
    prompts = {"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    decoder = {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
    config = Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    target = tmp_path_factory.mktemp("sam")
    Sam2Model(config).save_pretrained(target)
    return target


@pytest.fixture(scope="module")
def loaded(folder):
    return sam.load(str(folder), device="cpu")


@pytest.fixture
def source():
    return Source(Image.effect_noise((96, 48), 60).convert("RGB"))


def seen(source: Source) -> torch.Tensor:
    """The photo as SAM's processor prepares it: a square, in ImageNet's units."""
    pixels = torch.from_numpy(np.asarray(source.rgb).copy()).permute(2, 0, 1)[None] / 255
    square = torch.nn.functional.interpolate(pixels, (64, 64), mode="bilinear", antialias=True)
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (square - mean[:, None, None]) / spread[:, None, None]


def asked(model, monkeypatch) -> list[dict]:
    """What the model is asked from now on."""
    calls: list[dict] = []
    forward = model.model.forward
    monkeypatch.setattr(model.model, "forward", lambda **more: calls.append(more) or forward(**more))
    return calls


@pytest.mark.parametrize(
    "marks", [{"line": [(48, 12)]}, {"line": [(10, 10), (80, 40)]}, {"loop": [(9, 6), (60, 40)]}]
)
def test_the_model_gets_what_transformers_asks_for(loaded, source, marks, monkeypatch):
    calls = asked(loaded, monkeypatch)
    with suppress(InvalidRequest):  # random weights may see nothing
        loaded(source, Marks.of(source.size, **marks))
    (call,) = calls
    scale = np.array([64 / 96, 64 / 48])
    if "loop" in marks:
        given = {"input_boxes": torch.tensor(np.array(marks["loop"]) * scale).float().reshape(1, 1, 4)}
    else:
        points = torch.tensor(np.array(marks["line"]) * scale).float()[None, None]
        given = {"input_points": points, "input_labels": torch.ones(points.shape[:3], dtype=torch.int32)}
    with torch.no_grad():
        want = loaded.model(pixel_values=seen(source), multimask_output=call["multimask_output"], **given)
        got = loaded.model(**call)
    assert torch.allclose(got.pred_masks, want.pred_masks, atol=1e-4) and call["multimask_output"] == (
        marks.get("line") == [(48, 12)]
    )


def test_a_photo_is_looked_at_once(loaded, source, monkeypatch):
    looks = []
    look = loaded.model.get_image_embeddings
    monkeypatch.setattr(loaded.model, "get_image_embeddings", lambda pixels: looks.append(1) or look(pixels))
    monkeypatch.setattr(loaded, "_seen", None)
    for point in ((5, 5), (60, 20)):
        with suppress(InvalidRequest):
            loaded(source, Marks.of(source.size, [point]))
    assert len(looks) == 1


def pretended(logits: torch.Tensor, scores: list[float]):
    """A model that always answers this: logits [3, h, w]."""
    model = SimpleNamespace(
        config=SimpleNamespace(prompt_encoder_config=SimpleNamespace(image_size=64)),
        device=torch.device("cpu"),
        get_image_embeddings=lambda pixels: [],
    )
    answer = SimpleNamespace(pred_masks=logits[None, None], iou_scores=torch.tensor([[scores]]))

    class Model(SimpleNamespace):
        def __call__(self, **more):
            return answer

    return sam.Sam(Model(**vars(model)))


def test_the_best_mask_is_taken_at_the_photos_own_pixels():
    image = Image.new("RGB", (2000, 1200), (30, 60, 110))
    image.paste((210, 190, 60), (700, 300, 1500, 900))
    inside = np.asarray(image)[..., 0] == 210
    rough = torch.full((3, 256, 256), -4.0)
    rough[1, 64:192, 90:192] = 4.0  # the rectangle, roughly
    mask = select(Source(image), [(1000, 600)], grow=0, find=pretended(rough, [0.1, 0.9, 0.3]))
    found = np.asarray(mask.whole()) > 0
    assert (found & inside).sum() / (found | inside).sum() > 0.99


def test_where_the_model_sees_nothing_that_is_said(source):
    with pytest.raises(InvalidRequest, match="Nothing stands out"):
        select(source, [(5, 5)], find=pretended(torch.full((3, 64, 64), -1.0), [1, 1, 1]))


def test_from_python(folder, monkeypatch):
    monkeypatch.setattr(sam, "load", lambda name: pretended(torch.ones(3, 64, 64), [1, 0, 0]))
    mask = inpaint.select(Image.new("RGB", (90, 60), "grey"), [(5, 5)], model=str(folder))
    assert mask.size == (90, 60) and np.asarray(mask).min() == 255


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_is_downloaded_and_its_size_is_said_first(folder, tmp_path, monkeypatch):
    from huggingface_hub import constants

    with hub_stub.serve({"someone/sam": files(folder)}) as served:
        address = served.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
        monkeypatch.setattr(huggingface_hub, "model_info", huggingface_hub.HfApi(endpoint=served.url).model_info)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        told = []
        found = sam.find("someone/sam", told.append)
    size = (folder / sam.WEIGHTS).stat().st_size
    assert told[0].done == 0 and told[0].total == size + (folder / "config.json").stat().st_size
    assert sam.weights_bytes(found) == size and sam.load(str(found), "cpu").side == 64


def test_other_models_get_one_sentence(folder, tmp_path):
    with pytest.raises(ModelError, match=r"config\.json"):
        sam.find(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(ModelError, match="no SAM 2"):
        sam.find(str(tmp_path))
    for name, data in files(folder).items():
        (tmp_path / name).write_bytes(data)
    config = json.loads((tmp_path / "config.json").read_text())
    config["vision_config"]["fpn_hidden_size"] = 48
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError):
        sam.load(str(tmp_path), "cpu")
    (tmp_path / "model.safetensors").write_bytes(files(folder)["model.safetensors"][:200])
    with pytest.raises(ModelError, match="safetensors"):
        sam.load(str(tmp_path), "cpu")
    with pytest.raises((ModelError, ModelUnavailable)):
        sam.find("no such thing")
