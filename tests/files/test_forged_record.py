"""Check that forged and damaged records are refused with one sentence."""

import json
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from inpaint import InpaintError, InvalidRequest, Request
from inpaint.files import png_record
from tests.files.records import GOOD, bomb, forged, png_of, private_chunks, same, setting


def without(*path):
    def change(record):
        for key in path[:-1]:
            record = record[key]
        del record[path[-1]]

    return change


def text_bomb() -> bytes:
    """Return a part of the right size whose text unpacks to 50 MB."""
    good = png_of("L", (96, 72))
    data = b"x\0\0" + zlib.compress(bytes(50_000_000))
    chunk = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    return good[:33] + chunk + good[33:]


def box_of_rgb() -> tuple[int, int]:
    left, top, right, bottom = json.loads(Image.open(BytesIO(GOOD)).info["inpaint"])["picture"]["box"]
    return right - left, bottom - top


BAD = {
    "no json": {"text": "{"},
    "empty": {"text": ""},
    "a list": {"text": "[]"},
    "null": {"text": "null"},
    "deep": {"text": "[" * 200_000},
    "deep object": {"text": '{"a":' * 150_000},
    "NaN": {"text": '{"version": NaN}'},
    "infinite": {"text": '{"version": 1, "settings": {"eta": Infinity}}'},
    "endless number": {"text": '{"version": ' + "9" * 5000 + "}"},
    "long": {"text": '{"version": 1, "x": "' + "a" * 1_100_000 + '"}'},
    "version text": {"change": setting("version", to="1")},
    "version true": {"change": setting("version", to=True)},
    "version 0": {"change": setting("version", to=0)},
    "version newer": {"change": setting("version", to=png_record.VERSION + 1)},
    "version gone": {"change": without("version")},
    "settings gone": {"change": without("settings")},
    "settings list": {"change": setting("settings", to=[1])},
    "steps text": {"change": setting("settings", "steps", to="20")},
    "steps many": {"change": setting("settings", "steps", to=10**9)},
    "steps object": {"change": setting("settings", "steps", to={"a": 1})},
    "prompt number": {"change": setting("settings", "prompt", to=5)},
    "prompt long": {"change": setting("settings", "prompt", to="a" * 100_000)},
    "count many": {"change": setting("settings", "count", to=10**6)},
    "sampler": {"change": setting("settings", "sampler", to="../../x")},
    "picture text": {"change": setting("picture", to="x")},
    "picture empty": {"change": setting("picture", to={})},
    "picture null with mask": {"change": lambda r: r.update(picture=None, settings={"mask_from_alpha": True})},
    "size huge": {"change": setting("picture", "size", to=[60_000, 60_000])},
    "size negative": {"change": setting("picture", "size", to=[-1, -1])},
    "size zero": {"change": setting("picture", "size", to=[0, 5])},
    "size float": {"change": setting("picture", "size", to=[1.5, 2])},
    "size true": {"change": setting("picture", "size", to=[True, True])},
    "size large number": {"change": setting("picture", "size", to=[2**70, 1])},
    "size three": {"change": setting("picture", "size", to=[1, 2, 3])},
    "size other": {"change": setting("picture", "size", to=[10, 10])},
    "offset text": {"change": setting("picture", "offset", to="00")},
    "offset far": {"change": setting("picture", "offset", to=[2**31, 0])},
    "box upside down": {"change": setting("picture", "box", to=[50, 50, 10, 10])},
    "box outside": {"change": setting("picture", "box", to=[90, 60, 96 + 30, 72 + 30])},
    "box text": {"change": setting("picture", "box", to=["a", "b", "c", "d"])},
    "alpha word": {"change": setting("picture", "alpha", to="maybe")},
    "alpha list": {"change": setting("picture", "alpha", to=[])},
    "alpha not there": {"change": setting("picture", "alpha", to="stored")},
    "mask size": {"change": setting("mask", to=[97, 72])},
    "mask true": {"change": setting("mask", to=True)},
    "mask huge": {"change": setting("mask", to=[50_000, 50_000]), "chunks": {b"mask": bomb((50_000, 50_000), 0)}},
    "mask gone": {"drop": b"mask"},
    "rgb gone": {"drop": b"rgb"},
    "mask no png": {"chunks": {b"mask": b"GIF89a" + bytes(100)}},
    "mask empty": {"chunks": {b"mask": b""}},
    "mask mode": {"chunks": {b"mask": png_of("RGB", (96, 72))}},
    "mask cut": {"chunks": {b"mask": png_of("L", (96, 72))[:60]}},
    "mask text bomb": {"chunks": {b"mask": text_bomb()}},
    "rgb size": {"chunks": {b"rgb": png_of("RGBA", (5, 5))}},
    "rgb mode": {"chunks": {b"rgb": png_of("RGB", box_of_rgb())}},
    "rgb bomb": {"chunks": {b"rgb": bomb((40_000, 40_000))}},
    "rgb garbage": {"chunks": {b"rgb": bytes(range(256)) * 20}},
}


@pytest.mark.parametrize("name", BAD)
def test_a_forged_record_is_refused_in_a_sentence(name):
    with pytest.raises(InvalidRequest) as caught:
        Request.from_image(forged(**BAD[name]))
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value) and caught.value.advice


def test_a_copy_without_changes_is_read():
    same(Request.from_image(GOOD), Request.from_image(forged()))


def test_fields_of_a_newer_version_are_left_out_and_noted():
    def change(record):
        record["settings"]["sparkle"] = 3
        record["weather"] = {"rain": [1, 2]}

    got = Request.from_image(forged(change))
    assert got.settings() == Request.from_image(GOOD).settings()
    assert got.picture.notes == ("The setting sparkle is unknown.",)


def test_a_forged_model_is_no_model():
    for value in ([1], "x", None, {"name": 5, "fingerprint": []}):
        assert png_record.model_of(forged(setting("model", to=value))) == {}


def test_a_newer_version_says_what_to_do():
    with pytest.raises(InvalidRequest, match=r"newer version.*Update"):
        Request.from_image(forged(setting("version", to=png_record.VERSION + 1)))


@pytest.mark.slow
def test_random_damage_is_refused_or_harmless():
    rng = np.random.default_rng(0)
    text, parts = Image.open(BytesIO(GOOD)).info["inpaint"], dict(private_chunks(GOOD))
    refused = 0
    for k in range(300):
        words, name = list(text), list(parts)[k % len(parts)]
        data = bytearray(GOOD if k % 3 == 0 else parts[name])
        for at in rng.integers(8, len(data), 2):
            data[at] = rng.integers(0, 256)
        for at in rng.integers(0, len(words), 2):
            words[at] = chr(rng.integers(32, 127))
        damaged = [bytes(data), forged(chunks={name: bytes(data)}), forged(text="".join(words))][k % 3]
        try:
            Request.from_image(damaged)
        except InpaintError as error:
            refused += 1
            assert str(error)
    assert 100 < refused < 300
