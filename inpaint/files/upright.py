"""Which way up: a photo's EXIF orientation, applied once and then taken out of the block."""

from __future__ import annotations

from PIL import Image

ORIENTATION, SHARED, THUMBNAIL = 0x0112, 0xA005, 1  # tags, and the directory that holds a small copy of the photo
SUB = (0x8769, 0x8825)  # the directories of exposure and place
WORDS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)  # what, maker, model, software, date, artist, rights
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def turned(image: Image.Image) -> Image.Image:
    """The decoded image as it should be held; itself if nothing is to be turned."""
    try:
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow lets almost anything through from a block that lies about itself
        turn = None
    return image if turn is None else image.transpose(turn)


def exif_of(image: Image.Image) -> bytes | None:
    """Its EXIF block, without the orientation, which is applied, and the thumbnail, which shows what was removed.

    `image` is as it came from the file.  The block is unchanged if it has neither; None if it cannot be read.
    A TIFF's tags describe its own layout: of these only the words are kept.
    """
    try:
        block, exif = image.info.get("exif"), image.getexif()
        if not len(exif):
            return None
        if block and ORIENTATION not in exif and not exif.get_ifd(THUMBNAIL):
            return block if block.startswith(b"Exif\0\0") else b"Exif\0\0" + block
        kept = Image.Exif()
        for tag, value in exif.items():
            if tag != ORIENTATION and tag not in SUB and (block or tag in WORDS):
                kept[tag] = value
        for directory in SUB:
            values = {tag: value for tag, value in exif.get_ifd(directory).items() if tag != SHARED}
            if values:
                kept.get_ifd(directory).update(values)
        return kept.tobytes()
    except Exception:  # as above
        return None
