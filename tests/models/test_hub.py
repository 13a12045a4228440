"""The Hub through its real client: downloads that resume, faults told as what they are, damage that heals."""

import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants, errors

import inpaint
from inpaint import ModelUnavailable
from inpaint.models import download, hub
from tests.models import hub_stub
from tests.models.hub_stub import COMMIT, etag, serve

HTTP = sys.modules[errors.HTTPError.__module__.partition(".")[0]]  # httpx, or what its maker has put in its place

REPO = "someone/tiny"
UNET = "unet/diffusion_pytorch_model.safetensors"


def one_sentence(error) -> bool:
    """What is wrong and what to do, on one line, without a library's words."""
    return bool(error.advice) and "\n" not in str(error) and "Errno" not in str(error) and "Error" not in str(error)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def stub(both_unets, tmp_path, monkeypatch):
    """A Hub with one model, and an empty cache."""
    with serve({REPO: contents(both_unets)}) as served:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", served.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(huggingface_hub, "model_info", huggingface_hub.HfApi(endpoint=served.url).model_info)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(download, "PAUSE", 0)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield served


def cached(stub, name: str) -> Path:
    """Where the cache holds a file: the file itself, not the link to it."""
    data = stub.repos[REPO][name]
    return Path(constants.HF_HUB_CACHE) / f"models--{REPO.replace('/', '--')}" / "blobs" / etag(data)


def test_a_model_is_downloaded_once_and_then_serves_offline(stub, both_unets):
    seen = []
    folder = hub.fetch(REPO, progress=seen.append)
    assert contents(folder) == contents(both_unets)
    assert folder.name == COMMIT and seen[0].done == 0 and seen[-1].done == seen[-1].total
    assert [step.done for step in seen] == sorted(step.done for step in seen) and {step.repo for step in seen} == {
        REPO
    }
    before = len(stub.requests)
    assert hub.fetch(REPO) == folder and len(stub.requests) == before + 1  # only the list
    assert hub.fetch(REPO, offline=True) == folder and len(stub.requests) == before + 1
    assert inpaint.load(REPO, offline=True).model.methods == ("base", "inpaint")


def test_the_real_environment_variable_is_enough(stub, tmp_path):
    program = f"import inpaint; print(inpaint.load({REPO!r}).model.methods)"
    environment = {**os.environ, "HF_ENDPOINT": stub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and "('base', 'inpaint')" in done.stdout and done.stderr == "", done.stderr


def test_a_cut_download_goes_on_within_the_same_call(stub):
    stub.once[UNET] = 100_000
    assert (hub.fetch(REPO) / UNET).read_bytes() == stub.repos[REPO][UNET]
    assert stub.sent(UNET) == ["", "bytes=100000-"]


@pytest.mark.parametrize("name", ["scheduler/scheduler_config.json", "text_encoder/config.json"])
def test_a_small_file_that_is_always_cut_is_not_called_an_unreachable_hub(name, stub, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    stub.faults[name] = 10
    with pytest.raises(ModelUnavailable, match="download of the model someone/tiny was cut off") as error:
        hub.fetch(REPO)
    assert one_sentence(error.value)


def test_a_download_that_was_given_up_goes_on_where_it_was_cut(stub):
    stub.once[UNET], stub.faults[UNET] = 100_000, 0
    with pytest.raises(ModelUnavailable, match=r"cut off after 0 of \d+ MB .* continues from there"):
        hub.fetch(REPO)
    stub.faults.clear()
    stub.requests.clear()
    seen = []
    assert (hub.fetch(REPO, progress=seen.append) / UNET).read_bytes() == stub.repos[REPO][UNET]
    assert stub.sent(UNET) == ["bytes=100000-"] and not stub.sent("vae/config.json")  # what is there stays
    assert seen[-1].done == seen[-1].total


def test_a_server_that_cannot_go_on_in_the_middle_begins_again(stub, monkeypatch):
    monkeypatch.setattr(hub_stub, "RANGES", False)
    stub.once[UNET] = 100_000
    assert (hub.fetch(REPO) / UNET).read_bytes() == stub.repos[REPO][UNET]


def test_whoever_hears_of_the_progress_can_stop_it(stub):
    class NotMyModel(Exception):
        pass

    def stop(step: hub.Progress) -> None:
        if step.done > 1_000_000:
            raise NotMyModel

    with pytest.raises(NotMyModel):
        hub.fetch(REPO, progress=stop)
    with pytest.raises(ConnectionError, match="mine"):  # no error of the Hub's, whatever it is called
        hub.fetch(REPO, progress=lambda step: (_ for _ in ()).throw(ConnectionError("mine")))
    kept = sum(file.stat().st_size for file in Path(constants.HF_HUB_CACHE).rglob("*.incomplete"))
    assert kept > 0
    stub.requests.clear()
    assert hub.fetch(REPO) and any(span for _, _, span in stub.requests)


FAULTS = {  # what the Hub does: (where, status, what is said)
    "too many requests": ("list", 429, r"too many requests from here \(429\).* Wait"),
    "out of order": ("list", 503, r"out of order at the moment \(503\).* Try again"),
    "forbidden": ("list", 403, r"refuses access to the model someone/tiny \(403\).* token"),
    "a bad token": ("list", 401, r"refuses this machine's token \(401\).*`hf auth"),
    "gated": ("list", 4030, r"accept the terms first\. Accept them on https://huggingface\.co/someone/tiny"),
    "a hotel's page": ("list", "page", r"does not let requests through to the Hub\. Log in to the network"),
    "unknown": ("list", 404, r"no public model someone/tiny\. Check the id"),
    "too many for a file": (UNET, 429, r"too many requests from here \(429\)"),
    "a file out of order": (UNET, 503, r"out of order at the moment \(503\)"),
    "a file forbidden": (UNET, 403, r"refuses access .*\(403\)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_said_as_what_it_is_and_an_earlier_download_serves(fault, stub):
    where, status, words = FAULTS[fault]
    stub.faults[where] = status
    with pytest.raises(ModelUnavailable, match=words) as error:
        hub.fetch(REPO)
    assert one_sentence(error.value)
    stub.faults.clear()
    folder = hub.fetch(REPO)
    stub.faults[where] = status
    if where != "list":
        stub.repos[REPO] = {**stub.repos[REPO], where: bytes(20_000)}  # a new version, which cannot be had
    assert hub.fetch(REPO) == folder


def test_a_model_on_disk_serves_though_the_hub_has_it_no_more(stub):
    folder = hub.fetch(REPO)
    stub.repos.clear()
    assert hub.fetch(REPO) == folder
    assert inpaint.load(REPO).model.methods == ("base", "inpaint")
    with pytest.raises(ModelUnavailable, match="no public model someone/else"):
        hub.fetch("someone/else")


def test_without_a_network(stub, monkeypatch):
    def away(*_, **__):
        raise HTTP.ConnectError("[Errno -2] Name or service not known")

    monkeypatch.setattr(huggingface_hub, "model_info", away)
    with pytest.raises(ModelUnavailable, match=r"not on this machine and the Hub cannot be reached\. Go online once"):
        hub.fetch(REPO)
    with pytest.raises(ModelUnavailable, match=r"not on this machine, and going online is switched off"):
        hub.fetch(REPO, offline=True)


def test_a_hub_that_never_answers_is_given_up(stub, monkeypatch):
    """A real server that takes the connection and says nothing."""
    monkeypatch.setattr(hub, "WAIT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = huggingface_hub.HfApi(endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(huggingface_hub, "model_info", api.model_info)
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            hub.fetch(REPO)


def test_a_full_disk_and_a_broken_folder_are_not_called_a_network(stub, monkeypatch, tmp_path):
    real = download._stream

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_stream", full)
    with pytest.raises(ModelUnavailable, match=r"not enough disk space .*Free some space"):
        hub.fetch(REPO)
    monkeypatch.setattr(download, "_stream", real)
    (tmp_path / "no folder").write_text("")
    for broken in (tmp_path / "no folder", tmp_path / "no folder" / "below"):
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(broken))
        with pytest.raises(ModelUnavailable, match=r"folder for downloads cannot be written .* set HF_HOME") as error:
            hub.fetch(REPO)
        assert str(tmp_path) not in str(error.value)


def spoil(file: Path, how: str) -> None:
    data = file.read_bytes()
    file.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "zeros": bytes(len(data))}[how])


@pytest.mark.parametrize("how", ["cut", "empty", "zeros"])
@pytest.mark.parametrize("name", [UNET, "unet/config.json"])
def test_a_damaged_file_is_fetched_again(how, name, stub):
    folder = hub.fetch(REPO)
    spoil(folder / name, how)
    stub.requests.clear()
    assert hub.fetch(REPO) == folder and (folder / name).read_bytes() == stub.repos[REPO][name]
    assert stub.sent(name) and not stub.sent("vae/diffusion_pytorch_model.safetensors")


def test_a_damaged_file_is_named_and_removed_offline_and_comes_again(stub):
    folder = hub.fetch(REPO)
    spoil(folder / UNET, "cut")
    with pytest.raises(ModelUnavailable, match=r"model\.safetensors of the model someone/tiny is damaged"):
        inpaint.load(REPO, offline=True)
    assert not (folder / UNET).exists() and not cached(stub, UNET).exists()
    assert inpaint.load(REPO).model.methods == ("base", "inpaint")


def test_damage_that_only_loading_shows_is_healed_too(stub):
    """A file with a sound header whose tensors are called otherwise: its digest says that it is not what was sent."""
    folder = hub.fetch(REPO)
    file = (folder / UNET).resolve()
    file.write_bytes(file.read_bytes().replace(b"conv_in.weight", b"conv_xx.weight"))
    model = inpaint.load(REPO).model
    assert (folder / UNET).read_bytes() != stub.repos[REPO][UNET]  # the other UNet comes first
    assert model.unet("base") and (folder / UNET).read_bytes() == stub.repos[REPO][UNET]
    file.write_bytes(file.read_bytes().replace(b"conv_in.weight", b"conv_xx.weight"))
    with pytest.raises(ModelUnavailable, match="is damaged; it has been removed"):
        inpaint.load(REPO, offline=True).model.unet("base")


def test_what_arrives_damaged_is_asked_for_once_more(stub, monkeypatch):
    real, wrong = hub_stub._Handler.file, []

    def file(self, name, data, body):
        if name == UNET and body and len(wrong) < limit:
            wrong.append(name)
            self.reply(200, bytes(len(data)), {"ETag": etag(data)})
            return None
        return real(self, name, data, body)

    monkeypatch.setattr(hub_stub._Handler, "file", file)
    limit = 2
    with pytest.raises(ModelUnavailable, match="arrived damaged twice"):
        hub.fetch(REPO)
    limit = 3
    assert (hub.fetch(REPO) / UNET).read_bytes() == stub.repos[REPO][UNET] and len(wrong) == 3


def test_weights_in_several_files_come_with_their_index(stub, both_unets, tmp_path):
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

    folder = shutil.copytree(both_unets, tmp_path / "sharded")
    (folder / UNET).unlink()
    (folder / "text_encoder" / "model.safetensors").unlink()
    UNet2DConditionModel.from_pretrained(both_unets / "unet").save_pretrained(folder / "unet", max_shard_size="1MB")
    encoder = CLIPTextModel.from_pretrained(both_unets / "text_encoder")
    encoder.save_pretrained(folder / "text_encoder", max_shard_size="50KB")
    stub.repos["someone/sharded"] = contents(folder)
    fetched = hub.fetch("someone/sharded")
    for part in ("unet", "text_encoder"):
        assert len(list((fetched / part).glob("*-of-*.safetensors"))) > 1 and list(
            (fetched / part).glob("*.index.json")
        )
    ours, theirs = (inpaint.load(name).model for name in ("someone/sharded", str(both_unets)))
    x, text = torch.ones(1, 4, 8, 8), theirs.embed(["a cat"])
    assert torch.equal(ours.embed(["a cat"]), text) and torch.equal(
        ours.unet("base")(x, 1, text), theirs.unet("base")(x, 1, text)
    )


def test_which_files_of_a_part_are_chosen():
    files = [
        "unet/a.safetensors",
        "unet/a.fp16.safetensors",
        "unet/a.bin",
        "unet/a.non_ema.safetensors",
        "unet/a.safetensors.index.json",
        "unet/a.safetensors.index.fp16.json",
        "unet/a.bin.index.json",
    ]
    assert hub.chosen(files, "unet") == [files[1], files[4], files[5]]
    assert hub.chosen([files[0], files[2]], "unet") == [files[0]]
    assert hub.chosen(["diffusion_pytorch_model.safetensors", "x.safetensors"], "vae") == [
        "diffusion_pytorch_model.safetensors"
    ]
