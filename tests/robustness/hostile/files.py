"""Make forged files of other kinds than pictures: results with a record, other tools' texts, model files."""

from __future__ import annotations

import json
import pickle
import random
import struct
from functools import cache

from PIL.PngImagePlugin import PngInfo

from tests.robustness.hostile import oddities, values

SIZES = (
    [0, 0],
    [-1, 5],
    [10**9, 10**9],
    [9400, 9400],
    [2**24, 1],
    [24],
    "24x16",
    None,
    [24.0, 16],
    [True, 16],
    [24, 16],
    {},
)


@cache
def result() -> bytes:
    """A real result, painted by the toy, with everything needed to repeat it."""
    import inpaint
    from tests.robustness.hostile.cases import sound_mask, sound_picture

    request = inpaint.Request("a cat", sound_picture(), sound_mask(), steps=1, size=64, seed=1)
    return inpaint.load("toy")(request).to_bytes()


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """[(kind, data), …] of a PNG."""
    found, at = [], 8
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def joined(parts: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(oddities.chunk(kind, data) for kind, data in parts)


def record(rng: random.Random) -> tuple[bytes, str]:
    """A result whose record says something else, whose parts are others, or which is damaged."""
    from tests.robustness.hostile.cases import damaged

    how = rng.choice(("record", "record", "record", "parts", "damage", "text"))
    parts = chunks(result())
    if how == "damage":
        return damaged(result(), rng), "damaged result"
    if how == "parts":
        k = rng.choice([k for k, (kind, _) in enumerate(parts) if kind == b"inPX"])
        name, _, data = parts[k][1].partition(b"\0")
        other = rng.choice(
            (
                b"",
                damaged(data, rng),
                oddities.png_of_zeros(9000, 9000, 8, 0),
                data[:40],
                name * 50,
                data[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + data[24:],
            )
        )
        parts[k] = (b"inPX", rng.choice((name, b"", name * 1000, b"\xff" + name)) + b"\0" + other)
        return joined(parts), f"part {name.decode()} of {len(other)} bytes"
    k = next(k for k, (kind, data) in enumerate(parts) if kind == b"iTXt" and data.startswith(b"inpaint\0"))
    head, text = parts[k][1][: parts[k][1].index(b"{")], parts[k][1][parts[k][1].index(b"{") :].decode()
    if how == "text":
        text = rng.choice(
            (
                "",
                "{",
                "[" * 100_000,
                '{"a":' * 50_000,
                "null",
                "[]",
                '"x"',
                "NaN",
                "{}",
                text + "}",
                text[:-9],
                '{"version": 1e999}',
                " " * 2_000_000,
                text.replace("1", "1" * 5000, 1),
            )
        )
        what = f"record {text[:30]!r}"
    else:
        record = json.loads(text)
        what = forged(record, rng)
        text = json.dumps(record)
    parts[k] = (b"iTXt", head + text.encode("utf-8", "surrogatepass"))
    return joined(parts), what


def forged(record: dict, rng: random.Random) -> str:
    """Changes a record in one place, told in words."""
    where = rng.choice(("settings", "settings", "top", "picture", "picture", "mask"))
    if where == "settings":
        name, value = values.setting(rng, only_json=True)
        value = value if not (isinstance(value, int) and abs(value) > 10**100) else 1e300
        record["settings"][rng.choice((name, name, name, "x" * 5000, "picture", "__class__"))] = value
        return f"settings.{name} = {value!r:.40}"
    if where == "top":
        name, value = rng.choice(list(record)), rng.choice((None, [], {}, "x", -1, 2, 1.5, True, 10**30, [[]] * 9))
        record[name] = value
        return f"{name} = {value!r:.40}"
    if where == "mask":
        record["mask"] = rng.choice(SIZES)
        return f"mask = {record['mask']}"
    name = rng.choice(list(record["picture"]))
    record["picture"][name] = rng.choice(
        (
            *SIZES,
            [0, 0, 10**9, 10**9],
            [5, 5, 1, 1],
            [-9, -9, 24, 16],
            [0, 0, 24, 16],
            "kept",
            "stored",
            7,
            [[], [], [], []],
        )
    )
    return f"picture.{name} = {record['picture'][name]}"


def words(rng: random.Random) -> tuple[bytes, str]:
    """A picture with another tool's settings, true or not."""
    name, value = values.setting(rng, only_json=True)
    short = value if not isinstance(value, int) else value % 10**300
    texts = (
        f"a cat\nNegative prompt: dog\nSteps: {str(rng.choice(values.TEXTS))[:5000]}, Seed: 1",
        f"x\nSteps: 20, CFG scale: {rng.choice(('nan', 'inf', '1e999', '-1', '9' * 5000))}, "
        f"Seed: {'9' * rng.choice((3, 5000))}",
        "x\nSteps: 20, " + ", ".join(f"k{k}: " + '"' * 50 for k in range(500)),
        'x\nSteps: 20, Inpaint: "{\\"steps\\": []}"',
        "Steps: 20, Inpaint: " + json.dumps(json.dumps({name: repr(short)[:3000]})),
        "a: " * 60_000 + "Steps: 1",
        "Steps: 20, Sampler: " + "K" * 9000,
        "Steps" * 40_000 + ": 20",
        "Steps: 20, Inpaint: " + "[" * 90_000,
    )
    text = rng.choice(texts)
    key = rng.choice(("parameters", "Comment", "prompt", "workflow", "inpaint", "Description"))
    info = PngInfo()
    info.add_itxt(key, text.encode("utf-8", "replace").decode())
    return oddities.saved(oddities.noise(), pnginfo=info), f"{key}: {text[:60]!r}"


class Ill:
    """A pickle of it would run a program."""

    def __reduce__(self):
        return print, ("a pickle was run",)


def weights(rng: random.Random) -> tuple[bytes, str]:
    """A .safetensors file that is none, lies or is cut off."""
    entry = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    odd = rng.choice(
        (None, -1, 10**30, "x", [], [0, 2**63], [16, 0], [-16, 0], [0.5, 16], [0, 17], True, [[0], [16]])
    )
    field = rng.choice(("dtype", "shape", "data_offsets"))
    name = rng.choice(
        ("a", "model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.x", "", "../x", "__metadata__")
    )
    lies = {"a": entry, name: {**entry, field: odd}}
    whole = safetensors({"a": entry}, bytes(16))
    forms = {
        "nothing": b"",
        "a pickle": pickle.dumps(Ill()),
        "a zip": b"PK\x03\x04" + bytes(500),
        "zeros": bytes(1000),
        "a length of 2^63": struct.pack("<Q", 2**63) + whole[8:],
        "a length of 99 MB": struct.pack("<Q", 99 * 10**6) + whole[8:],
        "cut off": whole[: rng.randrange(len(whole))],
        "deep": struct.pack("<Q", 200_000) + b"[" * 200_000,
        "not an object": safetensors([1, 2], b""),
        "two in one place": safetensors({"a": entry, "b": entry}, bytes(16)),
        "too much behind": whole + bytes(99),
        "rubbish": rng.randbytes(400),
        "the wrong names": whole,
        "lies": safetensors(lies, bytes(16)),
        "more lies": safetensors(lies, bytes(17)),
    }
    what = rng.choice([*forms, *["lies", "more lies"] * 6])
    return forms[what], what if "lies" not in what else f"{name}.{field} = {odd!r}"


def safetensors(header, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data
