"""Check that a killed run ends as an undisturbed one does, and that another machine can continue it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from training import checkpoint, run, stages, states, text, unet, vae
from training.run import learning_rate

from .conftest import train


class Killed(Exception):
    """Stands in for the signal."""


def killed_at(step: int, module, monkeypatch) -> None:
    """The next training of `module` dies before its `step`-th update."""
    loss_at = module.loss_at

    def until(now: int, *args):
        if now == step:
            raise Killed
        return loss_at(now, *args)

    monkeypatch.setattr(module, "loss_at", until)


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_killed_training_ends_in_the_same_weights(library, trained, plan, monkeypatch, unseen):
    for module, step, stage in (
        (vae, 2, lambda: vae.train(library, library.photos, plan)),
        (text, 2, lambda: text.train(library.stickers, plan)),
        (unet, 2, lambda: unet.train("first", library, library.photos, plan)),
        (unet, 1, lambda: unet.train("inpaint", library, library.photos, plan)),
        (unet, 1, lambda: unet.train("base", library, library.photos, plan)),
    ):
        with monkeypatch.context() as patch:
            killed_at(step, module, patch)
            with pytest.raises(Killed):
                stage()
        stage()
    for stage, part in (("vae", "vae"), ("text", "text"), *((mode, "unet") for mode in unet.PARENT)):
        one, other = (checkpoint.load(where.work / stage / "final.pt")[part] for where in (trained, plan))
        assert equal(one, other), stage
    rows = (plan.work / "vae/log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2", "3"]


def test_a_new_autoencoder_makes_all_else_stale(library, trained, plan, unseen):
    shutil.copytree(trained.work, plan.work, dirs_exist_ok=True)
    shard = plan.work / "cache/0000.pt"
    before = checkpoint.load(shard)["clean"]
    longer = replace(plan, vae_steps=4)
    vae.train(library, library.photos, longer)
    for name in ("text", "first", "inpaint", "base"):
        assert not checkpoint.finished(plan.work / name, vae.load(longer)[1], 1)
    train(library, longer)
    assert not torch.equal(before, checkpoint.load(shard)["clean"])
    assert checkpoint.finished(plan.work / "base", vae.load(longer)[1], plan.base_steps)


def test_what_one_machine_began_another_goes_on_with(library, trained, plan, tmp_path, unseen):
    """Small states of a run of one step; elsewhere, with nothing but the autoencoder, the second step follows."""
    here = replace(plan, inpaint_steps=1, out=tmp_path / "out")
    shutil.copytree(trained.work / "vae", here.work / "vae")
    shutil.copytree(trained.work / "first", here.work / "first")
    unet.train("inpaint", library, library.photos, here)
    weights, facts = states.read(tmp_path / "out", "inpaint")
    assert facts["step"] == "1"
    assert states.same(weights, checkpoint.load(here.work / "inpaint/final.pt")["unet"])
    there = replace(plan, work=tmp_path / "there", states=tmp_path / "out", inpaint_steps=2)
    shutil.copytree(trained.work / "vae", there.work / "vae")
    unet.train("inpaint", library, library.photos, there)
    rows = (there.work / "inpaint/log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "2"]
    assert not states.same(weights, checkpoint.load(there.work / "inpaint/final.pt")["unet"])
    base = unet.beginning("base", 4, replace(there, work=tmp_path / "bare", states=tmp_path / "out")).state_dict()
    assert torch.equal(base["conv_out.weight"], weights["conv_out.weight"]), "and the next UNet grows from it"


def test_a_whole_state_that_went_further_is_not_given_up_for_a_small_one(library, trained, plan, tmp_path, unseen):
    shutil.copytree(trained.work, plan.work, dirs_exist_ok=True)
    weights = checkpoint.load(plan.work / "inpaint/final.pt")["unet"]
    zeros = {name: torch.zeros_like(value) for name, value in weights.items()}
    states.write(tmp_path / "old", "inpaint", zeros, {"step": 1, "seconds": 1, "stamp": vae.load(plan)[1]})
    (plan.work / "inpaint/final.pt").unlink()
    unet.train("inpaint", library, library.photos, replace(plan, states=tmp_path / "old"))
    assert equal(checkpoint.load(plan.work / "inpaint/final.pt")["unet"], weights)


def test_saved_states_are_those_of_the_work_folder(trained, tmp_path):
    paths = stages.save(replace(trained, out=tmp_path))
    assert sorted(path.name for path in paths) == [f"{name}-1.safetensors" for name in ("base", "inpaint", "text")]
    for name, part in (("text", "text"), ("inpaint", "unet"), ("base", "unet")):
        assert states.same(states.read(tmp_path, name)[0], checkpoint.load(trained.work / name / "final.pt")[part])


def test_before_its_first_step_a_unet_still_grows_from_its_parent_elsewhere(trained, plan, tmp_path):
    shutil.copytree(trained.work / "first", plan.work / "first")
    assert [path.name for path in stages.save(replace(plan, out=tmp_path / "out"))] == ["first-1.safetensors"]
    there = replace(plan, work=tmp_path / "there", states=tmp_path / "out")
    grown = unet.beginning("inpaint", 9, there).state_dict()
    parent = checkpoint.load(trained.work / "first/final.pt")["unet"]
    assert torch.equal(grown["conv_out.weight"], parent["conv_out.weight"].half().float())


def test_small_states_come_in_small_files_and_are_read_only_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(states, "LARGEST", 1_000)
    weights = {f"w{n}": torch.randn(100) for n in range(12)}
    paths = states.write(tmp_path, "unet", weights, {"step": 7, "stamp": "abc"})
    assert len(paths) == 3
    assert all(path.stat().st_size < 2_500 for path in paths)
    read, facts = states.read(tmp_path, "unet")
    assert states.same(read, weights)
    assert (facts["step"], facts["stamp"]) == ("7", "abc")
    with safe_open(paths[0], "pt") as file:
        assert file.get_tensor("w0").dtype == torch.float16
    paths[1].unlink()
    assert states.read(tmp_path, "unet") is None
    assert states.read(tmp_path, "other") is None
    assert states.read(None, "unet") is None


def test_a_large_batch_counts_as_many_steps(plan):
    module = torch.nn.Linear(2, 1)
    large = run.Run(plan.work / "large", module, 100, peak=1.0, plan=plan, stride=32)
    large.update(module(torch.ones(1, 2)).sum())
    assert (large.step, large.updates) == (32, 1)
    assert large.left() == pytest.approx(0.68)


def test_a_clock_ends_a_run_and_lowers_its_rate(plan, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(run.time, "monotonic", lambda: now[0])
    module = torch.nn.Linear(2, 1)
    limited = run.Run(plan.work / "limited", module, 10**6, peak=1.0, plan=plan, clock=run.Clock(10))

    def loss_at(step: int):
        now[0] += 1
        return module(torch.ones(1, 2)).sum(), {}

    limited.train(loss_at, lambda: None)
    assert limited.step == 10
    assert checkpoint.load(plan.work / "limited/state.pt")["step"] == 10


def test_the_learning_rate_warms_up_rests_and_falls():
    rates = [
        learning_rate(updates, left, 1.0) for updates, left in ((0, 1), (199, 1), (999, 0.5), (999, 0.15), (999, 0))
    ]
    assert rates == pytest.approx([1 / 200, 1, 1, 0.5, 0.02])


def test_a_state_is_whole_or_absent(tmp_path, monkeypatch):
    path = tmp_path / "state.pt"
    checkpoint.save(path, {"step": 1})

    def torn(state, file):
        file.write(b"half")
        raise Killed

    monkeypatch.setattr(torch, "save", torn)
    with pytest.raises(Killed):
        checkpoint.save(path, {"step": 2})
    assert checkpoint.load(path) == {"step": 1}


def test_a_folder_is_trained_in_by_one_process(tmp_path):
    with checkpoint.lock(tmp_path), pytest.raises(SystemExit, match="is training in"):
        checkpoint.lock(tmp_path)
