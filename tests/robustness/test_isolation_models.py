"""Check model names and files from strangers: nothing harmful is fetched, run or trusted."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import inpaint
from inpaint import ModelError, ModelUnavailable
from inpaint.models import hub, lora
from inpaint.models.loading import load, source
from inpaint.models.weight_files import tensors
from tests.conftest import GOLDEN
from tests.robustness.hostile.verdict import unclear

LDM, CONFIG = GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors", GOLDEN / "model_diffusers"
LAYER = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
NAMES = (
    "http://169.254.169.254/latest",
    "https://example.com/model",
    "file:///etc/passwd",
    "//evil.example/x",
    "owner/name/more",
    "../..",
    "a/..",
    "../secret",
    "owner/na me",
    "owner/name?x=1",
    "owner/name#x",
    "owner@evil/name",
    "owner/name\n",
    "owner/name\0",
    "owner/\u202eeman",
    "-x/name",
    "owner/.hidden",
    "owner",
    "owner/name:8080",
    "%2e%2e/x",
    "~nobody-here/x",
    "a/" + "b" * 97,
    "x" * 5000,
    "\\\\host\\share",
    "owner//x",
)


@pytest.fixture
def fetched(monkeypatch):
    """What would have been asked of the Hub."""
    import huggingface_hub

    asked = []

    def ask(repo, *_, **__):
        asked.append(repo)
        raise OSError("no network")

    for name in ("model_info", "list_repo_files", "snapshot_download", "hf_hub_download"):
        monkeypatch.setattr(huggingface_hub, name, ask)
    return asked


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:24])
def test_only_ids_reach_the_hub(name, fetched):
    for ask in (lambda: inpaint.load(name), lambda: source((name,), only="vae"), lambda: hub.fetch(name)):
        with pytest.raises(ModelError) as error:
            ask()
        assert not unclear(str(error.value)), error.value
    assert not fetched


def test_an_id_does_reach_it(fetched):
    with pytest.raises(ModelUnavailable):
        source(("owner/name-1.5_x",), offline=False)
    assert set(fetched) == {"owner/name-1.5_x"}


class Bomb:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def bomb(tmp_path):
    """(bytes of the pickle, the file it would write)"""
    mark = tmp_path / "went off"
    pickle.loads(pickle.dumps(Bomb(tmp_path / "proof")))
    assert (tmp_path / "proof").exists()  # it does go off
    return pickle.dumps({"state_dict": Bomb(mark)}), mark


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin", ".safetensors", ""])
def test_a_pickle_is_never_run(tmp_path, bomb, suffix):
    data, mark = bomb
    path = tmp_path / f"model{suffix}"
    path.write_bytes(data)
    torch.save({"state_dict": Bomb(mark)}, tmp_path / f"torch{suffix}")
    for file in (path, tmp_path / f"torch{suffix}"):
        for allowed in (False, True):
            for ask in (
                lambda file=file, allowed=allowed: load(str(file), allow_pickle=allowed),
                lambda file=file, allowed=allowed: source((str(file),), only="vae", allow_pickle=allowed),
                lambda file=file, allowed=allowed: tensors(file, allowed),
                lambda file=file: lora.read(file),
            ):
                with pytest.raises(ModelError) as error:
                    ask()
                assert not unclear(str(error.value)), error.value
    assert not mark.exists()


def test_even_a_harmless_pickle_is_asked_about(tmp_path):
    path = tmp_path / "weights.ckpt"
    torch.save({"state_dict": {"a": torch.ones(2)}}, path)
    with pytest.raises(ModelError, match="pickle"):
        tensors(path)
    assert list(tensors(path, allow_pickle=True)) == ["a"]


def test_pickles_and_programs_in_a_folder_are_left_alone(tmp_path, bomb, fetched):
    """As diffusers and transformers would run them if they were told to trust the folder."""
    data, mark = bomb
    folder = tmp_path / "model"
    shutil.copytree(CONFIG, folder)
    shutil.rmtree(folder / "unet9")
    sound = load(str(LDM), config=str(CONFIG), dtype="float32")
    for part, network in (("unet", sound.unets["base"]), ("vae", sound.vae), ("text_encoder", sound.text.encoder)):
        network.save_pretrained(folder / part)
    program = f"from pathlib import Path\nPath({str(mark)!r}).touch()\n"
    for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler", "."):
        for name in ("modeling.py", "pipeline.py", "tokenization.py", "__init__.py"):
            (folder / part / name).write_text(program)
        for config in ("config.json", "tokenizer_config.json", "scheduler_config.json", "model_index.json"):
            if (folder / part / config).is_file():
                told = json.loads((folder / part / config).read_text())
                told["auto_map"] = dict.fromkeys(("AutoModel", "AutoTokenizer", "AutoConfig"), "modeling.Model")
                told["custom_pipeline"] = str(folder / "pipeline.py")
                told["trust_remote_code"] = True
                told["_attn_implementation_internal"] = told["_attn_implementation"] = "owner/kernel"  # CVE-2026-4372
                (folder / part / config).write_text(json.dumps(told))
        (folder / part / "diffusion_pytorch_model.bin").write_bytes(data)
        (folder / part / "pytorch_model.bin").write_bytes(data)
    painter = inpaint.load(str(folder))
    assert len(painter.model.embed(["a cat"])) and not mark.exists() and not fetched
    assert len(load(str(LDM), config=str(folder)).embed(["a cat"])) and not mark.exists() and not fetched
    for weights in folder.glob("*/*.safetensors"):
        weights.unlink()  # only the pickles are left
    with pytest.raises(ModelError):
        inpaint.load(str(folder))
    assert not mark.exists()


def test_a_yaml_beside_a_file_builds_no_objects(tmp_path):
    from inpaint.models import ldm_config

    mark = tmp_path / "went off"
    (tmp_path / "a.yaml").write_text(f"model: !!python/object/apply:os.mknod ['{mark}']\n")
    with pytest.raises(ModelError):
        ldm_config.beside(tmp_path / "a.safetensors")
    assert not mark.exists()


UP, DOWN = f"{LAYER}.lora_B.weight", f"{LAYER}.lora_A.weight"
LORAS = {
    "rank 0": {UP: torch.zeros(32, 0), DOWN: torch.zeros(0, 32)},
    "ranks that differ": {UP: torch.zeros(32, 3), DOWN: torch.zeros(4, 32)},
    "no dimensions": {UP: torch.tensor(1.0), DOWN: torch.tensor(1.0)},
    "one dimension": {UP: torch.zeros(32), DOWN: torch.zeros(32)},
    "five dimensions": {UP: torch.zeros(1, 1, 1, 1, 1), DOWN: torch.zeros(1, 1, 1, 1, 1)},
    "a vector's alpha": {UP: torch.ones(32, 4), DOWN: torch.ones(4, 32), f"{LAYER}.alpha": torch.ones(7)},
    "no alpha in it": {UP: torch.ones(32, 4), DOWN: torch.ones(4, 32), f"{LAYER}.alpha": torch.ones(0)},
    "alpha is no number": {UP: torch.ones(32, 4), DOWN: torch.ones(4, 32), f"{LAYER}.alpha": torch.tensor(torch.nan)},
    "alpha without end": {UP: torch.ones(32, 4), DOWN: torch.ones(4, 32), f"{LAYER}.alpha": torch.tensor(torch.inf)},
    "whole numbers": {UP: torch.ones(32, 4, dtype=torch.int64), DOWN: torch.ones(4, 32, dtype=torch.int64)},
    "a product of another size": {UP: torch.ones(6_000, 4), DOWN: torch.ones(4, 6_000)},
    "weights that are no numbers": {UP: torch.full((32, 4), torch.nan), DOWN: torch.ones(4, 32)},
    "a convolution for a line": {UP: torch.ones(32, 4, 1, 1), DOWN: torch.ones(4, 32, 3, 3)},
    "the other half missing": {UP: torch.ones(32, 4)},
}


@pytest.mark.parametrize("what", LORAS)
def test_a_hostile_lora_is_one_sentence(what, tmp_path):
    path = tmp_path / "odd.safetensors"
    save_file(LORAS[what], path)
    model = load(str(LDM), config=str(CONFIG), dtype="float32")
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    before = model.unet("base")(x, 301, model.embed(["a cat"]))
    with pytest.raises(ModelError) as error:
        model.set_loras([str(path)])
        model.unet("base")
    assert not unclear(str(error.value)), error.value
    assert torch.equal(model.unet("base")(x, 301, model.embed(["a cat"])), before)


@pytest.mark.parametrize(
    "notes",
    [
        "{",
        "[]",
        "7",
        "null",
        '{"unet.lora_alpha": "x"}',
        '{"unet.lora_alpha": [1]}',
        '{"unet.lora_alpha": null}',
        "[" * 9000,
    ],
)
def test_notes_in_a_lora_file_are_not_trusted(notes, tmp_path):
    path = tmp_path / "odd.safetensors"
    save_file({UP: torch.ones(32, 4), DOWN: torch.ones(4, 32)}, path, metadata={"lora_adapter_metadata": notes})
    with pytest.raises(ModelError) as error:
        lora.read(path)
    assert not unclear(str(error.value)), error.value
