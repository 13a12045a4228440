"""Check that a photo's metadata is kept in every format that can hold it, except what shows the removed part."""

import base64
import io
import struct

import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from inpaint import Picture, Request, UnreadablePicture
from inpaint.batch import plan
from inpaint.files import exif, other_formats, reading, xmp
from inpaint.files.mask_file import open_mask
from inpaint.files.reading import size_of
from tests.fakes import result_of

MAKER_NOTE, DETAILS, GPS, TITLE, ARTIST, RIGHTS = 0x927C, 0x8769, 0x8825, 0x010E, 0x013B, 0x8298
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NAMES = {
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpGImg": "http://ns.adobe.com/xap/1.0/g/img/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "GImage": "http://ns.google.com/photos/1.0/image/",
}


def packet(attributes="", elements="") -> bytes:
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMES.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about="" {names} '
        f'{attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


WORDS = packet(
    'xmp:Rating="5" photoshop:Credit="Ann 安"', "<dc:creator><rdf:Seq><rdf:li>Ann</rdf:li></rdf:Seq></dc:creator>"
)
PLAIN = Image.effect_mandelbrot((60, 40), (-2, -1, 1, 1), 40).convert("RGB")


def encoded(format: str, image=PLAIN, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def saved(source: bytes, format: str, **settings) -> Image.Image:
    """Return the result of repainting nothing of the photo, written and opened again."""
    made = result_of(Request("x", source, Image.new("L", PLAIN.size), seed=1, mark_ai=False, **settings))
    image = Image.open(io.BytesIO(made.to_bytes(format, metadata="none")))
    image.load()
    return image


def words(*texts: tuple[str, str]) -> PngInfo:
    info = PngInfo()
    for key, value in texts:
        info.add_text(key, value)
    return info


FORMATS = ["PNG", "JPEG", "WEBP", "TIFF"]


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("read", FORMATS)
def test_xmp_and_resolution_are_kept_from_every_format_in_every_format(read, written):
    options = {"dpi": (300, 240)} | ({"tiffinfo": {700: WORDS}} if read == "TIFF" else {"xmp": WORDS})
    if read == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", WORDS.decode())
        options["pnginfo"] = info
    image = saved(encoded(read, **options), written)
    assert image.info["xmp"] == WORDS
    dpi = image.info.get("dpi")
    if written == "WEBP" and read != "WEBP":
        dpi = (image.getexif()[0x011A], image.getexif()[0x011B])
    if read != "WEBP":  # has no place for it but EXIF's
        assert [round(float(n)) for n in dpi] == [300, 240]


@pytest.mark.parametrize("written", FORMATS)
def test_texts_are_kept_where_there_is_a_place_for_them(written):
    texts = [
        ("Title", "A lake 湖"),
        ("Author", "Ann"),
        ("Copyright", "© Ann"),
        ("Comment", "by hand"),
        ("My key", "x"),
    ]
    image = saved(encoded("PNG", pnginfo=words(*texts)), written)
    if written == "PNG":
        assert {key: image.info[key] for key, _ in texts} == dict(texts)
        return
    block = image.getexif()
    assert block[ARTIST] == "Ann" and "A lake" in str(block[TITLE]) and "Ann" in str(block[RIGHTS])
    if written == "JPEG":
        assert image.info["comment"] == b"by hand"


def test_a_photos_own_words_go_before_the_texts():
    block = Image.Exif()
    block[RIGHTS] = "the camera's"
    data = encoded("PNG", exif=block.tobytes(), pnginfo=words(("Copyright", "another")))
    assert saved(data, "JPEG").getexif()[RIGHTS] == "the camera's"


@pytest.mark.parametrize("written", ["PNG", "JPEG"])
def test_a_jpegs_comment_is_kept(written):
    image = saved(encoded("JPEG", comment="a day out"), written)
    assert image.info["comment" if written == "JPEG" else "Comment"] in (b"a day out", "a day out")


def test_colour_chunks_are_kept_in_png():
    info = PngInfo()
    info.add(b"gAMA", struct.pack(">I", 45455))
    info.add(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
    image = saved(encoded("PNG", pnginfo=info), "PNG")
    assert image.info["gamma"] == 0.45455 and image.info["chromaticity"][2:4] == (0.64, 0.33)
    info = PngInfo()
    info.add(b"sRGB", b"\1")
    assert saved(encoded("PNG", pnginfo=info), "PNG").info["srgb"] == 1
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert saved(encoded("PNG", icc_profile=icc), "PNG").info["icc_profile"] == icc


def test_settings_of_an_earlier_run_are_no_text_of_the_photo():
    texts = [("parameters", "x\nSteps: 3"), ("prompt", "{}"), ("workflow", "{}"), ("Comment", "y\nSteps: 3, Seed: 1")]
    first = encoded("PNG", pnginfo=words(*texts, ("Title", "kept")))
    info = saved(first, "PNG").info
    assert info["Title"] == "kept" and not {key for key, _ in texts} & set(info)
    for format in ("JPEG", "WEBP"):
        assert b"Steps" not in result_of(Request("x", first, seed=1)).to_bytes(format, metadata="none")


@pytest.mark.parametrize("broken", [{"dpi": (0, 0)}, {"dpi": (1, 1)}, {"dpi": (1e7, 1e7)}])
def test_resolutions_that_mean_nothing_are_left_out(broken):
    assert "dpi" not in Picture.open(encoded("PNG", **broken)).info


def test_it_survives_repainting_the_result_again():
    first = result_of(Request("x", encoded("PNG", dpi=(300, 300), pnginfo=words(("Title", "kept"))), seed=1))
    again = saved_of(result_of(Request("y", first.image, seed=2)))
    assert again.info["Title"] == "kept" and round(again.info["dpi"][0]) == 300


def saved_of(result) -> Image.Image:
    return Image.open(io.BytesIO(result.to_bytes("PNG")))


# what would show what was removed


@pytest.mark.parametrize("format", FORMATS)
def test_camera_notes_and_thumbnails_are_dropped(format):
    block = Image.Exif()
    block[0x010F] = "Maker"
    details = block.get_ifd(DETAILS)
    details[MAKER_NOTE], details[0x829A] = b"Nikon\0" + b"a preview of what was there" * 20, 0.5
    for tag in (0x8649, 0x935C, 0xC634):
        block[tag] = b"a layer of what was there" * 9
    thumbnail = encoded("JPEG", PLAIN.resize((16, 12)))
    source = encoded(format, exif=block.tobytes())
    if format == "JPEG":  # one with a thumbnail, as cameras write it
        source = encoded(format, exif=with_thumbnail(block, thumbnail))
        assert thumbnail in source
    for written in FORMATS:
        data = result_of(Request("x", source, seed=1)).to_bytes(written, metadata="none")
        assert b"what was there" not in data and thumbnail not in data
        image = Image.open(io.BytesIO(data))
        assert image.getexif()[0x010F] == "Maker" and image.getexif().get_ifd(DETAILS)[0x829A] == 0.5


def with_thumbnail(block: Image.Exif, thumbnail: bytes) -> bytes:
    """The block with a second directory that holds a JPEG."""
    data = bytearray(block.tobytes()[6:])
    order = ">" if data[:2] == b"MM" else "<"
    first = struct.unpack_from(f"{order}I", data, 4)[0]
    entries = struct.unpack_from(f"{order}H", data, first)[0]
    at = len(data)
    struct.pack_into(f"{order}I", data, first + 2 + 12 * entries, at)
    where = at + 2 + 24 + 4
    data += struct.pack(f"{order}H", 2)
    data += struct.pack(f"{order}HHII", 0x0201, 4, 1, where) + struct.pack(
        f"{order}HHII", 0x0202, 4, 1, len(thumbnail)
    )
    data += struct.pack(f"{order}I", 0) + thumbnail
    return b"Exif\0\0" + bytes(data)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("directory", [None, DETAILS, GPS])
def test_a_picture_in_any_other_tag_is_dropped_too(format, directory):
    block, thumbnail = Image.Exif(), encoded("JPEG", PLAIN.resize((16, 12)))
    block[0x010F], block.get_ifd(DETAILS)[0x829A] = "Maker", 0.5
    tags = block if directory is None else block.get_ifd(directory)
    tags[0xFDE8], tags[0xFDE9] = thumbnail, base64.b64encode(bytes(range(256)) * 9)
    tags[0xFDEA] = b"Forty words of plain English, which hide nothing. " * 60
    for written in FORMATS:
        data = result_of(Request("x", encoded(format, exif=block.tobytes()), seed=1)).to_bytes(
            written, metadata="none"
        )
        assert thumbnail not in data and b"Li8wMTIzNDU2Nzg5" not in data
        if format != "TIFF":  # of which only the words are kept
            image = Image.open(io.BytesIO(data))
            assert image.getexif()[0x010F] == "Maker" and image.getexif().get_ifd(DETAILS)[0x829A] == 0.5
            assert b"hide nothing" in data or written == "TIFF"


def test_a_picture_in_a_text_is_dropped_too():
    lines = "\n".join(base64.b64encode(bytes([k]) * 57).decode() for k in range(60))
    prose = "One word after another, and a very long one among them: " * 60
    source = encoded("PNG", pnginfo=words(("preview", lines), ("copy", "89504e47" * 300), ("story", prose)))
    info = saved(source, "PNG").info
    assert "preview" not in info and "copy" not in info and info["story"] == prose
    for comment, kept in ((lines.encode(), False), (prose.encode(), True)):
        assert ("comment" in saved(encoded("JPEG", comment=comment), "JPEG").info) is kept


HIDES = [
    packet(elements=f"<xmp:Thumbnails><rdf:Alt><rdf:li xmpGImg:image='{'QUJD' * 40}'/></rdf:Alt></xmp:Thumbnails>"),
    packet(f'GImage:Data="{"QUJD" * 40}" GImage:Mime="image/jpeg"'),
    packet(f'photoshop:Anything="{base64.b64encode(bytes(range(256)) * 12).decode()}"'),
    packet(elements=f"<dc:x>{'A' * 3000}</dc:x>"),
]


@pytest.mark.parametrize("hides", HIDES)
def test_pictures_inside_xmp_are_dropped_and_the_words_stay(hides):
    hides = hides.replace(b'rdf:about=""', 'rdf:about="" xmp:Label="grün"'.encode(), 1)
    left = saved(encoded("JPEG", xmp=hides), "JPEG").info["xmp"]
    assert b"QUJD" not in left and b"AAAA" not in left and len(left) < 1500
    assert "grün".encode() in left and left.startswith(b"<?xpacket") and xmp.cleaned(left) == left


def test_the_place_goes_from_exif_and_xmp():
    block = Image.Exif()
    block.get_ifd(GPS)[1] = "N"
    where = packet(
        'exif:GPSLatitude="48,12.3N" photoshop:City="Berlin" xmp:Rating="3"',
        "<Iptc4xmpCore:Location>home</Iptc4xmpCore:Location>",
    )
    source = encoded("JPEG", exif=block.tobytes(), xmp=where)
    for format in FORMATS:
        kept, gone = (
            result_of(Request("x", source, seed=1, keep_gps=keep)).to_bytes(format) for keep in (True, False)
        )
        assert b"48,12.3N" in kept and b"Berlin" in kept and b"home" in kept
        for secret in (b"48,12.3N", b"Berlin", b"home"):
            assert secret not in gone
        assert b"Rating" in gone and GPS not in Image.open(io.BytesIO(gone)).getexif()


BOMB = b'<?xml version="1.0"?><!DOCTYPE z [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'


@pytest.mark.parametrize("packet", [b"", b"<x", b"\0", None, "text", 5, BOMB, b"<a>" * 100_000, b"x" * 2_000_000])
def test_what_is_no_xmp_is_left_out(packet):
    assert xmp.cleaned(packet) is None and xmp.without_place(packet) is None
    nested = b"<a>" * 5000 + b"</a>" * 5000
    assert xmp.cleaned(nested) in (nested, None)


# which way up


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_lies_as_browsers_show_it(orientation):
    block, turned = Image.Exif(), (40, 60) if orientation > 4 else (60, 40)
    block[0x0112] = orientation
    only_xmp = packet(f'tiff:Orientation="{orientation}"')
    assert Picture.open(encoded("JPEG", xmp=only_xmp)).size == (60, 40)
    assert Picture.open(encoded("WEBP", exif=block.tobytes())).size == (60, 40)
    for format in ("JPEG", "PNG", "AVIF"):
        picture = Picture.open(encoded(format, exif=block.tobytes()))
        assert picture.size == turned and picture.orientation == orientation
    for source in (encoded("JPEG", xmp=only_xmp), encoded("WEBP", exif=block.tobytes())):
        image = saved(source, "JPEG")
        assert image.size == (60, 40) and image.getexif().get(0x0112, 1) == 1  # no program turns it later


# other formats


def heic(image=PLAIN, **options) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=90, **options)
    return file.getvalue()


def test_heic_opens_as_picture_and_mask(tmp_path):
    block = Image.Exif()
    block[0x010F] = "Apple"
    for source in (heic(exif=block.tobytes()), io.BytesIO(heic(exif=block.tobytes()))):
        picture = Picture.open(source)
        assert picture.size == (60, 40) and exif._load(picture.exif)[0x010F] == "Apple"
        difference = [abs(a - b) for a, b in zip(picture.rgb.tobytes(), PLAIN.tobytes(), strict=True)]
        assert sum(difference) / len(difference) < 6
    mask = Image.new("RGB", PLAIN.size)
    mask.paste("white", (16, 8, 40, 24))
    assert open_mask(heic(mask)).getpixel((20, 12)) > 240 and open_mask(heic(mask)).getpixel((50, 35)) < 15
    (tmp_path / "IMG_1.HEIC").write_bytes(heic())
    (tmp_path / "IMG_2.avif").write_bytes(encoded("AVIF"))
    assert [job.picture.name for job in plan(tmp_path)] == ["IMG_1.HEIC", "IMG_2.avif"]
    assert Picture.open(tmp_path / "IMG_1.HEIC").size == (60, 40)


def test_broken_and_other_containers_are_refused_in_a_sentence():
    for data in (heic()[:200], heic()[:-500], b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(500)):
        with pytest.raises(UnreadablePicture) as error:
            Picture.open(data)
        assert error.value.advice and "\n" not in str(error.value)


def test_the_size_is_known_before_anything_is_decoded(monkeypatch, tmp_path):
    monkeypatch.setattr(other_formats.Heic, "decoded", lambda _: pytest.fail("decoded"))
    monkeypatch.setattr(other_formats.FloatTiff, "decoded", lambda _: pytest.fail("decoded"))
    floats = io.BytesIO()
    tifffile.imwrite(floats, np.zeros((40, 60, 3), np.float32), photometric="rgb")
    for data in (heic(), floats.getvalue(), *(encoded(format) for format in FORMATS), encoded("AVIF")):
        (tmp_path / "photo").write_bytes(data)
        assert size_of(data) == size_of(tmp_path / "photo") == (60, 40)
    monkeypatch.setattr(reading, "MAX_PIXELS", 1000)
    for data in (heic(), floats.getvalue()):
        with pytest.raises(UnreadablePicture, match="too large"):
            Picture.open(data)
