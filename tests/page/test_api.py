"""Check the endpoint /inpaint with a real client: it streams, refuses in one sentence, and serves a crowd."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests import gradio_aside

pytestmark = gradio_aside.warnings


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """The address of a page with the fake painter, in this process."""
    import os

    os.environ["GRADIO_TEMP_DIR"] = str(tmp_path_factory.mktemp("gradio"))
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from page.jobs.current_model import current_model
    from page.layout import Page
    from page.limits import Limits
    from page.server.middleware import guards
    from tests.browser.serve import Painter

    page = Page(Limits(megapixels=1), "fake")
    current_model.name, current_model.painter = "fake", Painter()
    demo = page.build()
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False, run_history=False, **guards(page))
    yield url
    demo.close()


@pytest.fixture
def files(tmp_path):
    from gradio_client import handle_file

    Image.effect_noise((96, 64), 50).convert("RGB").save(tmp_path / "picture.png")
    mask = Image.new("L", (96, 64))
    mask.paste(255, (10, 10, 40, 40))
    mask.save(tmp_path / "mask.png")
    return handle_file(tmp_path / "picture.png"), handle_file(tmp_path / "mask.png")


def test_the_endpoint_streams_and_gives_the_picture(endpoint, files, tmp_path):
    from gradio_client import Client

    import inpaint

    client = Client(endpoint, verbose=False, download_files=tmp_path)
    told = list(client.submit(*files, "slow", json.dumps({"steps": 4, "seed": 7}), api_name="/inpaint"))
    states = [json.loads(report) for _, report in told]
    assert [state["state"] for state in states][-1] == "done" and states[-1]["seed"] == 7
    previews = {Path(picture[0]).read_bytes() for picture, report in told[:-1] if picture}
    assert len(previews) >= 3
    (result,), _ = told[-1]
    repeated = inpaint.Request.from_image(result)
    assert repeated.seed == 7 and repeated.steps == 4 and repeated.prompt == "slow"


def test_the_program_in_the_readme_runs(endpoint, files, capsys):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    program = readme.split("```py\n")[1].split("```")[0]
    for name, file in zip(("cat.jpg", "mask.png"), files, strict=True):
        program = program.replace(f'"{name}"', repr(file["path"]))
    exec(program.replace("http://127.0.0.1:7860", endpoint), {})
    assert '"state": "done"' in capsys.readouterr().out


WRONG = [
    ('{"stepz": 4}', "no option named stepz"),
    ({"num_inference_steps": 3}, "no option named num_inference_steps"),
    ("{", "not valid JSON"),
    ('{"steps": 0}', "Choose a value from 1"),
    ("[1]", "not a JSON object"),
    ("[]", "not a JSON object"),
    ([], "not a JSON object"),
    ({"metadata": "all"}, "metadata"),
    ({"prompt": "another"}, "two prompts"),
]


@pytest.mark.parametrize(("settings", "sentence"), WRONG)
def test_the_endpoint_refuses_in_one_sentence(endpoint, files, settings, sentence):
    """To whoever asks for the result as an exception, to whoever goes through the answers as the last of them."""
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    client = Client(endpoint, verbose=False)
    with pytest.raises(AppError, match=sentence):
        client.predict(*files, "a hat", settings, api_name="/inpaint")
    told = list(client.submit(*files, "a hat", settings, api_name="/inpaint"))
    last = json.loads(told[-1][1])
    assert last["state"] == "failed" and sentence in last["problem"]


@pytest.mark.parametrize("settings", [{"steps": 2, "seed": 7}, '{"steps": 2, "seed": 7}'])
def test_settings_come_as_an_object_or_its_text(endpoint, files, settings):
    from gradio_client import Client

    _, told = Client(endpoint, verbose=False).predict(*files, "", settings, api_name="/inpaint")
    assert json.loads(told)["seed"] == 7


def test_the_prompt_may_stand_in_the_settings(endpoint, files, tmp_path):
    from gradio_client import Client

    import inpaint

    client = Client(endpoint, verbose=False, download_files=tmp_path)
    (path,), _ = client.predict(*files, "", {"steps": 2, "prompt": "a red scarf"}, api_name="/inpaint")
    assert inpaint.Request.from_image(path).prompt == "a red scarf"


def test_a_picture_too_large_is_refused(endpoint, files, tmp_path):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    Image.new("RGB", (1200, 1000)).save(tmp_path / "large.png")
    with pytest.raises(AppError, match="megapixels"):
        Client(endpoint, verbose=False).predict(handle_file(tmp_path / "large.png"), files[1], api_name="/inpaint")


def test_a_crowd_with_some_who_leave(endpoint, files):
    """Ten wait in line, three leave while running or waiting: all others get their picture."""
    from gradio_client import Client

    jobs = []
    for n in range(10):
        client = Client(endpoint, verbose=False)
        jobs.append(
            client.submit(*files, "slow" if n < 3 else "", json.dumps({"steps": 3, "seed": n}), api_name="/inpaint")
        )
    for job in jobs[:3]:
        job.cancel()
    for n, job in enumerate(jobs[3:], 3):
        _, report = job.result(timeout=60)
        assert json.loads(report)["seed"] == n


def call(endpoint: str, files: list[str], **settings) -> str:
    """Post a job over plain HTTP and return the id of its event."""
    import httpx

    data = [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in files]
    answer = httpx.post(
        f"{endpoint}/gradio_api/call/inpaint", json={"data": [*data, "slow", json.dumps(settings), ""]}
    )
    return answer.raise_for_status().json()["event_id"]


def uploaded(endpoint: str, files) -> list[str]:
    import httpx

    send = [("files", (Path(file["path"]).name, Path(file["path"]).read_bytes())) for file in files]
    return httpx.post(f"{endpoint}/gradio_api/upload", files=send).raise_for_status().json()


def test_a_job_that_nobody_listens_to_is_never_begun(endpoint, files, monkeypatch):
    """The next one does not wait for it, and one whose listener comes a little later is done."""
    import httpx

    from page.jobs import worker
    from page.server import listeners

    begun, real = [], worker.paint
    monkeypatch.setattr(listeners, "PATIENCE", 1)
    monkeypatch.setattr(
        worker, "paint", lambda name, requests: begun.append(requests[0].seed) or real(name, requests)
    )
    paths = uploaded(endpoint.rstrip("/"), files)
    call(endpoint.rstrip("/"), paths, steps=20, seed=1)
    event = call(endpoint.rstrip("/"), paths, steps=2, seed=2)
    with httpx.stream("GET", f"{endpoint.rstrip('/')}/gradio_api/call/inpaint/{event}", timeout=20) as answer:
        text = "".join(answer.iter_text())
    assert "complete" in text and begun == [2]


def test_results_count_as_files_on_the_disk(endpoint, files, monkeypatch, tmp_path):
    """A job that would find no room is refused before it is begun, and one that finds none ends in a sentence."""
    from page.api import KeptResults
    from page.storage import Storage, megabytes_in

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "small"))
    results = KeptResults(Storage(megabytes=1))
    from inpaint import InpaintError

    stored = []
    with pytest.raises(InpaintError, match="no room"):
        while len(stored) < 100:
            stored.append(results.add(bytes(100_000), "a.png"))
    assert 9 <= len(stored) <= 12 and megabytes_in(tmp_path / "small") < 1.2


def test_what_the_result_remembers_is_asked_for(endpoint, files, tmp_path):
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    import inpaint

    client = Client(endpoint, verbose=False, download_files=tmp_path)
    original = Image.open(files[0]["path"]).convert("RGB").tobytes()
    for metadata, kept in (({}, False), ({"metadata": "full"}, True)):
        (result,), _ = client.predict(
            *files, "", json.dumps({"steps": 2, "seed": 7, **metadata}), api_name="/inpaint"
        )
        request = inpaint.Request.from_image(result)
        assert request.seed == 7 and (request.picture.rgb.tobytes() == original) is kept
    with pytest.raises(AppError, match="settings, full, none"):
        client.predict(*files, "", '{"metadata": "all"}', api_name="/inpaint")


def test_the_endpoint_select_gives_the_mask_of_a_thing(endpoint, tmp_path):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    image = Image.effect_noise((300, 200), 12).convert("RGB")
    image.paste((200, 40, 60), (90, 50, 190, 140))
    image.save(tmp_path / "picture.png")
    client = Client(endpoint, verbose=False, download_files=tmp_path)
    picture = handle_file(tmp_path / "picture.png")
    found = client.predict(picture, {"line": [[140, 95]], "grow": 0}, api_name="/select")
    with Image.open(found) as mask:
        off = [a - b for a, b in zip(mask.getbbox(), (90, 50, 190, 140), strict=True)]
        assert mask.size == (300, 200) and max(map(abs, off)) <= 1
    with pytest.raises(AppError, match=r"cannot be read\. Send an object"):
        client.predict(picture, {"at": [140, 95]}, api_name="/select")
