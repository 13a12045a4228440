"""Check that files say in IPTC's fields that a network painted on them, and keep the photo's own XMP."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import pytest
import tifffile
from PIL import Image

import inpaint
from inpaint import Picture, Request
from inpaint.files import xmp

NAMES = ("DigitalSourceType", "AISystemUsed")
COMPOSITE = f"{xmp.SOURCES}compositeWithTrainedAlgorithmicMedia"
OWN = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<r:Description r:about="uuid:7" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 e:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"><dc:rights>mine</dc:rights></r:Description>
</r:RDF></x:xmpmeta>"""


@pytest.fixture(scope="module")
def toy():
    return inpaint.load("toy")


def photo(packet: bytes | None = None) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((96, 64), 60).convert("RGB").save(file, "JPEG", **({"xmp": packet} if packet else {}))
    return file.getvalue()


def hole() -> Image.Image:
    mask = Image.new("L", (96, 64))
    mask.paste(255, (30, 20, 60, 44))
    return mask


def packet_of(data: bytes, name: str) -> bytes:
    if name == "TIFF":
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            tag = file.pages[0].tags.get(700)
            return bytes(tag.value) if tag else b""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        packet = image.info.get("xmp", b"")
        return packet.encode() if isinstance(packet, str) else packet


def fields(packet: bytes) -> dict[str, list[str]]:
    """The attributes and texts of all of a packet's descriptions, by name."""
    values: dict[str, list[str]] = {}
    if packet:
        for one in ElementTree.fromstring(packet.decode()).iter(f"{{{xmp.RDF}}}Description"):
            for key, value in [*one.items(), *((child.tag, child.text) for child in one)]:
                values.setdefault(key.split("}")[-1], []).append(value)
    return values


def found(data: bytes, name: str) -> dict[str, list[str]]:
    return fields(packet_of(data, name))


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("packet", [None, OWN], ids=["no XMP", "its own XMP"])
def test_every_file_says_it_once_and_keeps_what_the_photo_said(toy, name, packet):
    made = toy(Request("x", photo(packet), hole(), steps=1, seed=1))
    for data in (made.to_bytes(name), made.to_bytes(name, metadata="none")):
        values = found(data, name)
        assert values["DigitalSourceType"] == [COMPOSITE] and values["AISystemUsed"] == [
            f"inpaint {inpaint.__version__}, toy"
        ]
        assert (values.get("rights") == ["mine"]) == (packet is not None)
        assert set(values.get("about", [""])) == {"uuid:7" if packet else ""}
    again = toy(Request("y", Picture.open(made.to_bytes(name)), hole(), steps=1, seed=2))
    assert found(again.to_bytes(name), name)["DigitalSourceType"] == [COMPOSITE]


def test_what_no_network_painted_is_not_marked_and_stays_as_it_was(toy):
    asked = Request("", photo(OWN), hole(), fill="patch", strength=0, seed=1)
    values = found(toy(asked).to_bytes(), "PNG")
    assert values["DigitalSourceType"] == [f"{xmp.SOURCES}digitalCapture"] and "AISystemUsed" not in values
    painted = toy(Request("x", photo(), hole(), steps=1, seed=1))
    filled = toy(Request("", Picture.open(painted.to_bytes()), hole(), fill="patch", strength=0, seed=1))
    assert found(filled.to_bytes(), "PNG")["DigitalSourceType"] == [COMPOSITE], "the mark of before stays"


def test_a_picture_from_the_prompt_alone_is_all_ai(toy):
    values = found(toy(Request("x", width=64, height=64, steps=1, seed=1)).to_bytes(), "PNG")
    assert values["DigitalSourceType"] == [f"{xmp.SOURCES}trainedAlgorithmicMedia"]


def test_it_can_be_switched_off(toy):
    made = toy(Request("x", photo(), hole(), steps=1, seed=1, mark_ai=False))
    assert not set(found(made.to_bytes(), "PNG")) & set(NAMES)


@pytest.mark.parametrize("packet", [b"", b"not xml", b"<a/>", b"<!DOCTYPE a><a/>", b"\xff" * 50])
def test_packets_that_cannot_be_read_are_replaced(packet):
    data = xmp.marked(packet, "compositeWithTrainedAlgorithmicMedia", 'a "b" <c> & d')
    values = fields(data)
    assert values["AISystemUsed"] == ['a "b" <c> & d'] and values["DigitalSourceType"] == [COMPOSITE]
