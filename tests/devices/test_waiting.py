"""Check that steps never wait for the device, and that offload moves the UNet once per walk."""

import pytest

from inpaint.request import SAMPLERS
from tests.devices.conftest import request_of
from tests.devices.emulation import Emulated
from tests.devices.test_placement import soft_mask


@pytest.fixture(scope="module")
def resident(load):
    with Emulated("cuda"):
        return load(device="cuda", memory="resident")


def waits(painter, device, **settings):
    """Return where the host waited in a run whose encodings and embeddings are cached."""
    painter(request_of(**settings))
    device.waits.clear()
    painter(request_of(**settings))
    return dict(device.waits)


@pytest.mark.parametrize("method", ["base", "inpaint"])
@pytest.mark.parametrize(
    "settings",
    [
        *({"sampler": name} for name in SAMPLERS),
        {"eta": 1.0, "fresh_noise": True},
        {"speed": "fast", "guidance_end": 0.5},
        {"guidance_scale": 1.0},
        {"guidance_rescale": 0.5, "mask": soft_mask()},
    ],
    ids=lambda settings: " ".join(map(str, settings.values()))[:30],
)
def test_more_steps_do_not_wait_more_often(resident, cuda, settings, method):
    few, many = (waits(resident, cuda, steps=steps, count=2, method=method, **settings) for steps in (4, 8))
    assert sum(few.values()) == sum(many.values()) > 0, (few, many)


def test_previews_wait_only_where_they_are_asked_for(resident, cuda):
    for _ in resident.stream(request_of(steps=4)):
        pass
    cuda.waits.clear()
    *steps, _ = resident.stream(request_of(steps=4))
    before = cuda.waits.total()
    for step in steps:
        step.preview(64)
    assert cuda.waits.total() == before + 4 + 1  # one copy each, and one to fit the colours to the picture


@pytest.mark.parametrize("method", ["base", "inpaint"])
def test_with_offload_the_unet_moves_once_a_walk(load, cuda, method):
    painter, moved = load(device="cuda", memory="offload"), []
    painter.model.unet(method)
    size = sum(weight.nbytes for weight in painter.model.unets[method].parameters())
    for steps in (4, 4, 8):
        cuda.moved.clear()
        for step in painter.stream(request_of(method=method, steps=steps, mask=soft_mask())):
            if hasattr(step, "preview"):
                step.preview(64)
        moved.append(dict(cuda.moved))
    assert moved[1]["to device"] == moved[2]["to device"] < 2 * size  # with the VAE, twice as many steps or not
    assert moved[2]["to host"] < size / 10  # latents and pictures: weights are not copied back


def test_with_offload_one_network_is_on_the_device(load, cuda):
    painter = load(device="cuda", memory="offload")
    model, seen = painter.model, []
    networks = {"text": model.text.encoder, "vae": model.vae, "unet": model.unets["inpaint"]}
    for _ in painter.stream(request_of(count=2)):
        seen.append({name for name, network in networks.items() if next(network.parameters()).device.type == "cuda"})
    assert seen == [{"unet"}, {"unet"}, {"vae"}]
    painter.model.free()
    assert cuda.allocated() < 1.5 * sum(weight.nbytes for weight in model.vae.parameters())
