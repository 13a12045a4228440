"""Try hostile input, in the short form of bench/hostile.py: each gives a right result or one clear sentence."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import pytest
from PIL import Image

import inpaint
from inpaint import InvalidRequest, Picture, Request
from inpaint.files.original import LARGER
from tests.robustness.hostile import api, cli, envelope, http, oddities
from tests.robustness.hostile.cases import Case, case, sound_mask, sound_picture
from tests.robustness.hostile.files import chunks, joined
from tests.robustness.hostile.values import cheap
from tests.robustness.hostile.verdict import judged, unclear

API, INSIDE, PROCESSES, HTTP = range(300), range(1000, 1060), (1, 18, 60), range(2000, 2040)


@pytest.fixture(scope="module", autouse=True)
def warm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        api.warm()


@pytest.fixture(autouse=True)
def quiet():
    """Pillow and numpy warn of what is broken, as they should."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def faults(run, cases, pid: int | str = "self", patience: int = 1) -> list[str]:
    """Return what went wrong, each with its seed."""
    found = []
    for made in cases:
        verdict = judged(lambda made=made: run(made), pid, patience * made.patience)
        if verdict.fault:
            found.append(f"{made}: {verdict.fault}")
    return found


def test_through_python(tmp_path):
    assert not faults(api.Through(tmp_path).run, map(case, API))


@pytest.mark.parametrize("name", oddities.names())
def test_every_oddity_opens_as_what_it_is_or_not_at_all(name, tmp_path):
    odd = oddities.oddity(name)
    made = Case(0, "oddity", name, odd.data, sound_mask(), cheap({}), suffix=odd.suffix, must=odd.size)
    (tmp_path / "work").mkdir()
    verdict = judged(lambda: api.Through(tmp_path / "work").run(made))
    assert not verdict.fault and (odd.size == () or bool(verdict.refused) == (odd.size is None)), verdict
    (tmp_path / f"odd{odd.suffix}").write_bytes(odd.data)  # a path is read otherwise than bytes are
    verdict = judged(lambda: Picture.open(tmp_path / f"odd{odd.suffix}") and None)
    assert not verdict.fault and (odd.size == () or bool(verdict.refused) == (odd.size is None)), verdict


def test_through_the_command_line(tmp_path):
    cases = [case(seed, only_json=True) for seed in INSIDE]
    assert len(cases) > 40 and not faults(cli.Through(tmp_path).run, cases)


def test_through_real_processes(tmp_path):
    kinds = zip(PROCESSES, ("oddity", "text", "mask"), strict=True)
    cases = [case(seed, kind, only_json=True) for seed, kind in kinds]
    assert not faults(cli.Through(tmp_path, process=True).run, cases, patience=3)  # their start reads torch


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_through_the_running_page():
    with http.served() as (address, process, said):
        through = http.Through(address)
        through.sound("unipc")
        cases = [made for made in (case(seed, only_json=True) for seed in HTTP) if made.kind != "weights"]
        assert len(cases) > 25 and not faults(through.run, cases, process.pid)
        picture, mask = through.uploaded(sound_picture(), "a.png"), through.uploaded(sound_mask(), "b.png")
        for name, body in envelope.bodies(picture, mask).items():
            verdict = judged(lambda body=body: through.images(body), process.pid)
            assert verdict.refused and not verdict.fault, (name, verdict)
        through.sound()
        said.seek(0)
        assert b"Traceback" not in said.read()


def test_a_moving_picture_opens_from_its_file(tmp_path):
    """Looking for a second frame left it undecoded, and its file was closed by then."""
    path = tmp_path / "a.gif"
    path.write_bytes(oddities.animated("GIF"))
    assert Picture.open(path).rgb.tobytes() == Picture.open(path.read_bytes()).rgb.tobytes()
    assert "first" in Picture.open(path).notes[0]


def test_a_small_result_cannot_hold_a_huge_picture():
    request = Request("x", sound_picture(), sound_mask(), **cheap({}), seed=1)
    data = inpaint.load("toy")(request).to_bytes()
    parts = [
        (kind, body.replace(b'"size": [24, 16], "offset"', b'"size": [9000, 9000], "offset"'))
        for kind, body in chunks(data)
    ]
    assert LARGER * 24 * 16 < 9000 * 9000 and joined(parts) != data
    with pytest.raises(InvalidRequest, match="sizes"):
        Request.from_image(joined(parts))


def test_a_long_word_is_not_repeated_in_full(tmp_path):
    made = Case(0, "number", "", sound_picture(), sound_mask(), {"soft": "\x1b[31m" + "x" * 50_000})
    verdict = judged(lambda: cli.Through(tmp_path).run(made))
    assert verdict.refused and not verdict.fault, verdict


def test_no_upload_costs_a_session_its_picture():
    """Whatever is opened on the page, the visitor keeps the picture on the table or has the new one."""
    from page.limits import Limits
    from page.paint.opening import Opening
    from page.session import Session

    page = SimpleNamespace(limits=Limits(), controls=SimpleNamespace(names=["prompt", "expand", "steps"]))
    page.controls.shown = lambda name, value: value
    opening, session, seen = Opening(page), Session(), {True: 0, False: 0}
    opening.put(session, sound_picture(), "first.png")
    for made in [*(case(seed, kind) for seed in range(50) for kind in ("damage", "record", "words"))]:
        before, data = session.picture, made.picture if made.file is None else made.file

        def put(data=data, before=before) -> None:
            try:
                opening.put(session, data, "../../x\0<b>.png")
            finally:
                seen[session.picture is before] += 1
                assert session.picture.size and session.pictures[0].size == (oddities.W, oddities.H)

        verdict = judged(put)
        assert not verdict.fault, (made, verdict)
        session.pictures, session.at = session.pictures[:1], 0
    assert min(seen.values()) > 15


@pytest.mark.parametrize("value", [object(), lambda: 7, Exception])
def test_a_strange_value_is_named_by_its_kind(value):
    with pytest.raises(InvalidRequest) as error:
        Request(steps=value)
    assert not unclear(str(error.value)), error.value


def test_the_watchman_sees(tmp_path):
    """The judge must be able to find a fault."""
    assert "ZeroDivisionError" in judged(lambda: 1 / 0).fault
    assert "sentence of" in judged(lambda: _refuse("x" * 700)).fault
    assert "inside" in judged(lambda: _refuse("Traceback (most recent call last).")).fault
    assert not judged(lambda: _refuse("It is broken. Use another.")).fault
    wrong, sound = api.Through(tmp_path), Case(0, "text", "", sound_picture(), sound_mask(), {})
    for size, word in (((24, 16), "not painted"), ((25, 16), "asked for")):
        wrong.painter = lambda request, size=size: inpaint.Result((Image.new("RGB", size),), request, {}, {}, (1,))
        assert word in judged(lambda: wrong.run(sound)).fault


def _refuse(sentence: str):
    raise InvalidRequest("x", sentence)
