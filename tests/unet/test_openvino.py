"""Check OpenVINO: the same pictures, its files kept beside the model, and torch wherever it cannot run."""

import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import inpaint
from inpaint import ModelError
from inpaint.memory import policy as memory
from inpaint.memory.policy import Policy
from inpaint.unet import backend, openvino
from inpaint.unet.forward import UNet
from tests.robustness.test_faults import everyday

FLOAT, HALF = {"dtype": "float32"}, {"dtype": "bfloat16"}


@pytest.fixture
def folder(both_unets, tmp_path):
    return shutil.copytree(both_unets, tmp_path / "tiny")


@pytest.fixture(scope="module")
def painters(both_unets, tmp_path_factory):
    """The same model twice, run by torch and by OpenVINO."""
    folder = shutil.copytree(both_unets, tmp_path_factory.mktemp("twice") / "tiny")
    return [inpaint.load(str(folder), backend=name, **FLOAT) for name in ("torch", "openvino")]


def kept(folder, sub="unet_inpainting"):
    return sorted(path.name for path in (folder / sub / "openvino").glob("*.*") if path.suffix in (".xml", ".bin"))


def largest(a, b) -> int:
    return int(np.abs(np.asarray(a.image, dtype=int) - np.asarray(b.image, dtype=int)).max())


def sentence(caplog) -> str:
    return " ".join(record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)


@pytest.mark.parametrize("method", ["base", "inpaint"])
@pytest.mark.parametrize("speed", ["exact", "fast"])
def test_pictures_are_those_of_torch(painters, method, speed):
    request = replace(everyday(), method=method, speed=speed, steps=8)
    by_torch, by_openvino = (painter(request) for painter in painters)
    assert largest(by_torch, by_openvino) <= 1
    assert by_torch.model["backend"] == "torch" and by_openvino.model["backend"] == "openvino"
    assert by_openvino.report["max_change_outside"] == 0


def test_a_fast_walk_runs_the_engine_only_in_full_steps(painters, monkeypatch):
    calls, whole = [], openvino.Compiled.__call__
    monkeypatch.setattr(openvino.Compiled, "__call__", lambda self, *given: calls.append(1) or whole(self, *given))
    request = replace(everyday(), method="inpaint", steps=20)
    painters[1](request)
    exact = len(calls)
    painters[1](replace(request, speed="fast"))
    assert exact == 20 and 3 < len(calls) - exact < 20


@pytest.mark.parametrize("sides", [(8, 8), (9, 13), (24, 10)])
@pytest.mark.parametrize("n, words", [(1, 77), (2, 154)])
def test_one_conversion_serves_every_size(painters, sides, n, words):
    network = painters[1].model.unets["inpaint"]
    dice = torch.Generator().manual_seed(5)
    x = torch.randn(n, 9, *sides, generator=dice)
    text = torch.randn(n, words, network.config.cross_attention_dim, generator=dice)
    run = painters[1].model.engine.runner(network, [], [], Policy())
    for found, wanted in zip(run(x, 321, text), UNet(network)(x, 321, text), strict=True):
        assert found.shape == wanted.shape and float((found - wanted).norm() / wanted.norm()) < 1e-4


def test_it_is_converted_once(folder, monkeypatch):
    first = inpaint.load(str(folder), backend="openvino", **FLOAT)(everyday())
    there = kept(folder), kept(folder, "unet")
    assert [len(names) for names in there] == [2, 2]
    monkeypatch.setattr(openvino, "convert", lambda network: pytest.fail("converted again"))
    again = inpaint.load(str(folder), backend="openvino", **FLOAT)(everyday())
    assert largest(first, again) == 0 and (kept(folder), kept(folder, "unet")) == there


def test_other_weights_are_converted_anew_and_the_old_ones_go(folder):
    inpaint.load(str(folder), backend="openvino", **FLOAT)
    before = kept(folder)
    file = folder / "unet_inpainting" / "diffusion_pytorch_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    (folder / "unet_inpainting" / "openvino" / (before[0][:-4].split("-")[0] + "-9-float32-killed")).mkdir()
    inpaint.load(str(folder), backend="openvino", **FLOAT)
    assert len(kept(folder)) == 2 and set(kept(folder)).isdisjoint(before)
    assert not [path for path in (folder / "unet_inpainting" / "openvino").iterdir() if path.is_dir()]


@pytest.mark.parametrize("harm", ["empty", "truncated", "noise", "no sense"])
def test_what_is_spoilt_on_disk_is_made_anew(folder, harm, caplog):
    inpaint.load(str(folder), backend="openvino", **FLOAT)
    for path in (folder / "unet_inpainting" / "openvino").glob("*.xml" if harm == "no sense" else "*.bin"):
        data = path.read_bytes()
        path.unlink()  # not written over: it is still mapped here
        noise = np.random.default_rng(0).normal(0, 1, len(data) // 4).astype("f4").tobytes()
        spoilt = {"empty": b"", "truncated": data[: len(data) // 2], "noise": noise, "no sense": b"<net>"}
        path.write_bytes(spoilt[harm])
    model = inpaint.load(str(folder), backend="openvino", **FLOAT).model
    assert model.backend == "openvino" and not sentence(caplog)


def test_where_nothing_can_be_written_beside_the_model_the_users_cache_is_taken(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (folder / "unet_inpainting" / "openvino").write_text("in the way")
    model = inpaint.load(str(folder), backend="openvino", **FLOAT).model
    assert model.backend == "openvino" and len(list((tmp_path / "cache").rglob("*.xml"))) == 1


def test_a_full_disk_costs_only_the_next_start(folder, tmp_path, monkeypatch, caplog):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(openvino.os, "replace", full)
    model = inpaint.load(str(folder), backend="openvino", **FLOAT).model
    assert model.backend == "openvino" and not kept(folder) and not list((tmp_path / "cache").rglob("*.xml"))


def test_other_numbers_than_torchs_are_not_taken(folder, monkeypatch, caplog):
    monkeypatch.setattr(openvino, "relative_error", lambda *_: 0.5)
    painter = inpaint.load(str(folder), backend="openvino", **FLOAT)
    assert painter.model.backend == "torch" and "numbers differ from torch's by 0.5" in sentence(caplog)
    assert largest(painter(everyday()), inpaint.load(str(folder), **FLOAT)(everyday())) == 0


def test_a_conversion_that_fails_leaves_torch(folder, monkeypatch, caplog):
    def fail(network):
        raise NotImplementedError("aten::something")

    monkeypatch.setattr(openvino, "convert", fail)
    painter = inpaint.load(str(folder), backend="openvino", **FLOAT)
    assert painter.model.backend == "torch" and "NotImplementedError" in sentence(caplog)
    assert painter(everyday()).report["max_change_outside"] == 0


@pytest.mark.parametrize("speed", ["exact", "fast"])
def test_torch_takes_over_in_the_middle_of_a_walk(folder, monkeypatch, caplog, speed):
    request = replace(everyday(), speed=speed)
    by_torch = inpaint.load(str(folder), **FLOAT)(request)
    painter, passes, whole = inpaint.load(str(folder), backend="openvino", **FLOAT), [], openvino.Compiled.__call__

    def second_fails(self, *given):
        passes.append(given)
        if len(passes) == 2:
            raise RuntimeError("Exception from src/plugins/intel_cpu")
        return whole(self, *given)

    monkeypatch.setattr(openvino.Compiled, "__call__", second_fails)
    result = painter(replace(request, method="inpaint"))
    assert result.report["max_change_outside"] == 0 and painter.model.backend == "torch"
    assert len(passes) == 2 and "failed in a pass" in sentence(caplog)
    assert largest(painter(request), by_torch) <= 1


def test_out_of_memory_lets_it_go_first(folder, monkeypatch):
    painter, whole, failed = inpaint.load(str(folder), backend="openvino", **FLOAT), openvino.Compiled.__call__, []

    def short(self, *given):
        failed.append(1)
        raise MemoryError

    monkeypatch.setattr(openvino.Compiled, "__call__", short)
    result = painter(replace(everyday(), method="inpaint"))
    assert "without OpenVINO's copy" in " ".join(result.report["notes"]) and len(failed) == 1
    monkeypatch.setattr(openvino.Compiled, "__call__", whole)
    assert result.model["backend"] == "torch"
    again = painter(replace(everyday(), method="inpaint"))  # the next job has it back
    assert again.model["backend"] == "openvino" and again.report["notes"] == []


def test_loras_and_short_memory_are_torchs(painters, caplog):
    network = painters[1].model.unets["inpaint"]
    for loras, policy in ((["one"], Policy()), ([], Policy("offload")), ([], Policy(vae_tiling=True))):
        engine = backend.Engine()
        assert engine.runner(network, [], loras, policy) is None
    assert "LoRAs change the weights" in sentence(caplog) and "memory is short" in sentence(caplog)


def test_bfloat16_agrees_as_far_as_it_can(folder):
    model = inpaint.load(str(folder), backend="openvino", **HALF).model
    network = model.unets["inpaint"]
    x, t, text = openvino.example(network, 2, 16, 8)
    given = x.repeat(2, 1, 1, 1), t, text
    found = model.unet("inpaint")(*given)
    wanted = openvino.Float32Wrapper(network)(*given)[0]
    assert model.backend == "openvino" and float((found - wanted).norm() / wanted.norm()) < 0.06
    assert all("bfloat16" in name for name in kept(folder))


@pytest.mark.parametrize(
    "asked, kind, parameters, roomy, installed, engine",
    [
        ("auto", "cpu", 10**9, True, True, True),
        ("auto", "cpu", 10**9, True, False, False),
        ("auto", "cpu", 10**9, False, True, False),  # memory is short
        ("auto", "cpu", 10**7, True, True, False),  # the built-in model: it would be loaded longer than it saves
        ("auto", "cuda", 10**9, True, True, False),
        ("auto", "mps", 10**9, True, True, False),
        ("torch", "cpu", 10**9, True, True, False),
        ("openvino", "cpu", 10**7, False, True, True),
    ],
)
def test_the_choice(monkeypatch, asked, kind, parameters, roomy, installed, engine):
    monkeypatch.setattr(backend, "find_spec", lambda name: object() if installed else None)
    assert (backend.choose(asked, kind, parameters, roomy) is not None) is engine


@pytest.mark.parametrize(
    "asked, kind, word",
    [
        ("tensorrt", "cpu", "torch, openvino"),
        ("openvino", "cuda", "CPU only"),
        ("openvino", "cpu", "pip install openvino"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(monkeypatch, asked, kind, word):
    monkeypatch.setattr(backend, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=word) as error:
        backend.choose(asked, kind, 10**9, True)
    assert "\n" not in str(error.value) and error.value.advice


def test_auto_asks_for_free_memory(both_unets, monkeypatch):
    asked = []
    monkeypatch.setattr(backend, "choose", lambda *given: asked.append(given[-1]))
    for free in (10**12, 0):
        monkeypatch.setattr(inpaint.memory.device, "free_bytes", lambda place, free=free: free)
        for dtype in (HALF, FLOAT):
            inpaint.load(str(both_unets), **dtype)
    assert asked == [True, False, False, False] and memory.choose("cpu", 0, 1, 512) != Policy()


def test_nothing_is_reported_and_the_global_dice_stay(folder):
    import sys

    torch.manual_seed(3)
    wanted = torch.rand(3)
    torch.manual_seed(3)
    inpaint.load(str(folder), backend="openvino", **FLOAT)
    assert torch.equal(torch.rand(3), wanted) and sys.modules["openvino_telemetry"] is None


def test_the_command_line_has_the_switch(folder, tmp_path, capsys):
    from inpaint.cli.main import main

    out = tmp_path / "out.png"
    everyday().picture.rgb.save(tmp_path / "in.png")
    assert (
        main(
            [
                str(tmp_path / "in.png"),
                "-",
                "x",
                "-o",
                str(out),
                "--model",
                str(folder),
                "--steps",
                "2",
                "--size",
                "64",
                "--backend",
                "openvino",
            ]
        )
        == 0
    )
    assert out.is_file() and len(kept(folder)) == 2
    assert main([str(tmp_path / "in.png"), "-", "x", "-o", str(out), "--backend", "gpu"]) == 2
    assert "backend cannot be 'gpu'" in capsys.readouterr().err
