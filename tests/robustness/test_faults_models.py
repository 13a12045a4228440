"""Model files that vanish while they are being read, and a Hub that does not answer; no test goes online."""

import errno
import json
import shutil
import socket
import sys
import threading

import huggingface_hub
import pytest
from huggingface_hub import errors

import inpaint
from inpaint import ModelError, ModelUnavailable
from inpaint.models import hub, loading
from inpaint.models.diffusers_folder import Folder
from inpaint.models.single_file import SingleFile
from tests.robustness.test_faults import CONFIG, LDM, everyday

HTTP = sys.modules[errors.HTTPError.__module__.partition(".")[0]]  # httpx, or what its maker has put in its place
PARTS = ("unet", "unet_inpainting", "vae", "text_encoder", "tokenizer", "scheduler")


@pytest.fixture
def folder(both_unets, tmp_path):
    return shutil.copytree(both_unets, tmp_path / "tiny")


def one_sentence(error) -> bool:
    """What is wrong and what to do, on one line, without a library's words."""
    text = str(error.value)
    return bool(error.value.advice) and "\n" not in text and "Errno" not in text and "Error" not in text


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("weights_only", [False, True])
def test_a_part_that_vanishes_between_listing_and_loading(folder, monkeypatch, part, weights_only):
    def listed(*args, real=loading.source, **kwargs):
        found = real(*args, **kwargs)
        for file in (folder / part).glob("*.safetensors" if weights_only else "*"):
            file.unlink()
        return found

    monkeypatch.setattr(loading, "source", listed)
    if weights_only and part in ("tokenizer", "scheduler", "unet"):  # they have none; the other UNet comes first
        assert inpaint.load(str(folder)).model.methods == ("base", "inpaint")
        return
    with pytest.raises(ModelError) as error:
        inpaint.load(str(folder))
    assert one_sentence(error), str(error.value)


@pytest.mark.parametrize("kind", ["folder", "file"])
@pytest.mark.parametrize("after", ["schedule", "vae", "tokenizer", "text_encoder", "parameters"])
def test_a_model_that_vanishes_while_it_is_being_read(folder, tmp_path, monkeypatch, kind, after):
    """Everything goes right after one part has been read; in a single file that is all there is."""
    place = folder if kind == "folder" else shutil.copy(LDM, tmp_path / "one.safetensors")
    cls = Folder if kind == "folder" else SingleFile
    real, gone = getattr(cls, after), []

    def read(self, *args):
        found = real(self, *args)
        if not gone:
            gone.append(shutil.rmtree(place) if kind == "folder" else place.unlink())
        return found

    monkeypatch.setattr(cls, after, read)
    with pytest.raises(ModelError) as error:
        inpaint.load(str(place), config=None if kind == "folder" else CONFIG)
    assert one_sentence(error) and len(gone) == 1, str(error.value)


def test_the_old_model_comes_back_where_the_new_one_vanishes(folder, monkeypatch):
    from page.jobs.current_model import CurrentModel

    current, real = CurrentModel(), Folder.vae
    current.load(str(LDM), config=CONFIG)
    monkeypatch.setattr(Folder, "vae", lambda self, dtype: (real(self, dtype), shutil.rmtree(folder))[0])
    with pytest.raises(ModelError):
        current.load(str(folder))
    assert current.name == str(LDM) and current.painter.model.name == str(LDM)


def test_a_part_that_vanishes_before_it_is_first_needed(folder):
    """The UNet of the other method is read when it is asked for; the one at work goes on."""
    from dataclasses import replace

    painter, asked = inpaint.load(str(folder)), replace(everyday(), method="inpaint")
    before = painter(asked).image.tobytes()
    shutil.rmtree(folder / "unet")
    with pytest.raises(ModelError) as error:
        painter(replace(asked, method="base"))
    assert one_sentence(error)
    shutil.rmtree(folder)
    assert painter(asked).image.tobytes() == before  # all it needs is in memory
    with pytest.raises(ModelError):
        painter.model.set_loras([str(folder / "lora.safetensors")])
    assert painter(asked).image.tobytes() == before


def response(status: int) -> HTTP.Response:
    return HTTP.Response(status, request=HTTP.Request("GET", "https://hub.invalid"))


REFUSALS = {
    "no network": HTTP.ConnectError("[Errno -2] Name or service not known"),
    "refused": HTTP.ConnectError("[Errno 111] Connection refused"),
    "connect timeout": HTTP.ConnectTimeout("timed out"),
    "read timeout": HTTP.ReadTimeout("The read operation timed out"),
    "cut off": HTTP.RemoteProtocolError("peer closed connection without sending complete message body"),
    "proxy": HTTP.ProxyError("407 Proxy Authentication Required"),
    "resolver": socket.gaierror(-3, "Temporary failure in name resolution"),
    "offline": errors.OfflineModeIsEnabled("Cannot reach https://hub.invalid: offline mode is enabled."),
    "503": errors.HfHubHTTPError("503 Server Error", response=response(503)),
    "429": errors.HfHubHTTPError("429 Too Many Requests", response=response(429)),
    "no such entry": errors.LocalEntryNotFoundError("Cannot find an appropriate cached snapshot folder"),
    "a hotel's page": json.JSONDecodeError("Expecting value", "<html>", 0),
}


@pytest.mark.parametrize("at", ["list", "download"])
@pytest.mark.parametrize("refusal", REFUSALS)
def test_an_unreachable_hub_is_said_with_what_to_do(monkeypatch, refusal, at):
    def refuse(*_, **__):
        raise REFUSALS[refusal]

    def listed(*_, **__):
        return huggingface_hub.hf_api.ModelInfo(id="some/model", siblings=[])

    monkeypatch.setattr(huggingface_hub, "model_info", refuse if at == "list" else listed)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(ModelUnavailable, match=r"some/model .*cannot be reached.* Go online") as error:
        inpaint.load("some/model", offline=False)
    assert one_sentence(error) and "built-in" in error.value.advice


def test_an_earlier_download_serves_while_the_hub_is_away(monkeypatch, both_unets):
    def snapshot(repo, allow_patterns, local_files_only):
        assert local_files_only
        return str(both_unets)

    def refuse(*_, **__):
        raise HTTP.ConnectError("refused")

    monkeypatch.setattr(huggingface_hub, "model_info", refuse)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert inpaint.load("some/model", offline=False).model.methods == ("base", "inpaint")


def test_a_disk_that_fills_up_while_downloading_is_not_called_a_network(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "model_info", lambda *_, **__: huggingface_hub.hf_api.ModelInfo(id="a/b"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", full)
    with pytest.raises(ModelUnavailable, match=r"no room .*Free some space") as error:
        inpaint.load("some/model", offline=False)
    assert one_sentence(error)


def test_a_hub_that_never_answers_is_given_up(monkeypatch):
    """A real server that takes the connection and says nothing, asked by the real client."""
    from huggingface_hub import HfApi, constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "WAIT", 0.3)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = HfApi(endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(huggingface_hub, "model_info", api.model_info)
        said = []

        def ask():
            try:
                inpaint.load("some/model", offline=False)
            except BaseException as error:
                said.append(error)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(20)
        assert said, "it still waits"
    assert isinstance(said[0], ModelUnavailable) and "Go online" in str(said[0])
    assert isinstance(said[0].__cause__.__context__, HTTP.TimeoutException)
