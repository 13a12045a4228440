"""Check display copies: the file's colours, the picture's shape, masks at the picture's size."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from inpaint import InvalidRequest, Picture, Request
from page import images


def opened(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))


def swapped() -> bytes:
    """A profile with swapped primaries, which a browser would have to obey: a copy without it is wrong by far."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    data = bytearray(srgb.tobytes())
    table = {bytes(data[k : k + 4]): k + 4 for k in range(132, 132 + 12 * data[131], 12)}
    red, blue = table[b"rXYZ"], table[b"bXYZ"]
    data[red : red + 8], data[blue : blue + 8] = data[blue : blue + 8], data[red : red + 8]
    return bytes(data)


def is_blue(image: Image.Image) -> bool:
    return np.abs(np.asarray(image.convert("RGB"))[1, 1].astype(int) - (40, 40, 200)).max() < 12


def test_a_wide_gamut_photo_is_shown_in_srgb():
    photo = Image.new("RGB", (64, 48), (200, 40, 40))
    buffer = io.BytesIO()
    photo.save(buffer, "PNG", icc_profile=swapped())
    assert is_blue(opened(images.shown_picture(Picture.open(buffer.getvalue()))))
    result = photo.copy()
    result.info["icc_profile"] = swapped()
    assert is_blue(opened(images.shown(result)))
    broken = images.in_srgb(photo, b"no profile")
    assert broken.tobytes() == photo.tobytes()


def test_so_are_the_fill_the_steps_the_film_and_the_small_results():
    from page.how_it_works import Learn
    from page.jobs.events import Filling, Finished, Preview
    from page.jobs.worker import paint
    from page.paint.results import small
    from page.session import Chosen

    photo, mask = Image.new("RGB", (96, 80), (200, 40, 40)), Image.new("L", (96, 80))
    photo.info["icc_profile"] = swapped()
    ImageDraw.Draw(mask).rectangle((40, 30, 70, 60), fill=255)
    request = Request("", photo, mask, steps=2, size=64, seed=1, fill="patch", strength=0.8)
    *events, finished = [
        event for event in paint("toy", [request]) if isinstance(event, Filling | Preview | Finished)
    ]
    previews = [event for event in events if isinstance(event, Preview)]
    fills = [event.jpeg for event in events if isinstance(event, Filling) and event.jpeg]
    assert previews and fills and previews[0].jpeg
    for data in (*fills, previews[0].jpeg, previews[-1].data()):
        assert is_blue(Image.open(io.BytesIO(data)))
    figure = Learn(None).figures([previews[0].step], 0, "en").split("src='")[1].split("'")[0]
    assert is_blue(opened(figure))
    kept = previews[-1].kept
    assert is_blue(previews[-1].picture()) and kept is not None
    kept.release()
    assert is_blue(kept.picture()) and is_blue(previews[-1].picture())
    assert is_blue(small(Chosen(finished.result, 0), 64))


def test_a_panorama_keeps_its_height_and_a_small_photo_its_size():
    assert images.reduced(Image.new("RGB", (9000, 240))).size[1] > 220
    assert images.reduced(Image.new("RGB", (640, 480))).size == (640, 480)


@pytest.mark.parametrize("size", [(4000, 3000), (1000, 750), (999, 751)])
def test_a_mask_comes_back_at_the_pictures_size_and_stays_hard(size):
    mask = Image.new("L", (1000, 750))
    ImageDraw.Draw(mask).ellipse((300, 200, 600, 500), fill=255)
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    address = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    back = images.mask_from(address, size)
    assert back.size == size and set(np.unique(np.asarray(back))) == {0, 255}
    share = np.asarray(back).mean() / np.asarray(mask).mean()
    assert share == pytest.approx(1, rel=0.01)


def test_what_the_editor_paints_faintly_stays_faint():
    buffer = io.BytesIO()
    mask = Image.new("L", (60, 40))
    mask.paste(13, (10, 10, 40, 30))  # the least opacity of a brush
    mask.save(buffer, "PNG")
    address = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    request = Request(picture=Image.new("RGB", mask.size), mask=images.mask_from(address, mask.size))
    assert request.mask.tobytes() == mask.tobytes()


def test_a_stencil_is_clear_where_nothing_changes():
    mask = Image.new("L", (20, 10))
    mask.putpixel((3, 4), 1)
    alpha = np.asarray(opened(images.stencil(mask)).getchannel("A"))
    assert alpha[4, 3] == 255 and alpha.sum() == 255


def test_a_part_of_a_picture_is_exact_and_never_more_than_that():
    pixels = np.random.default_rng(1).integers(0, 256, (3000, 2400, 4), dtype=np.uint8)
    picture = Picture.open(Image.fromarray(pixels))
    shown = opened(images.part(picture.rgb, picture.alpha, None, [100, 200, 1600, 2400]))
    assert (np.asarray(shown) == pixels[200:2400, 100:1600]).all()
    wrong = (
        [0, 0, 2400, 3000],
        [-1, 0, 5, 5],
        [0, 0, 2401, 5],
        [5, 5, 5, 9],
        [0, 0, 1.5, 3],
        ["a", 0, 1, 1],
        [None] * 4,
    )
    for box in wrong:
        with pytest.raises(InvalidRequest):
            images.part(picture.rgb, picture.alpha, None, box)
