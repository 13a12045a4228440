"""Check the fast speed: light steps equal full ones where nothing moves, and every way of asking for it works."""

import inspect
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image

import inpaint
from inpaint import Request
from inpaint.cli.parser import parser
from inpaint.diffusion.sampling import Strategy, denoise
from inpaint.diffusion.schedule import alphas_cumprod
from inpaint.diffusion.schedulers import sampler
from inpaint.files import infotext
from inpaint.models.toy import SCHEDULE
from inpaint.request import options
from inpaint.unet.deepcache import LEAD, DeepCache
from inpaint.unet.forward import UNet, whole
from inpaint.unet.supported import fits

CROSS, PLAIN = "CrossAttn", ""
SHAPES = {  # Stable Diffusion 1.5's kinds of blocks, and those of a model without attention outside
    "sd15": {"channels": (32, 64, 64, 64), "layers": 2, "kinds": (CROSS, CROSS, CROSS, PLAIN)},
    "plain outside": {"channels": (32, 64, 64), "layers": 1, "kinds": (PLAIN, CROSS, CROSS)},
}


def network(shape="sd15", inputs=4):
    torch.manual_seed(0)
    wanted = SHAPES[shape]
    return (
        UNet2DConditionModel(
            block_out_channels=wanted["channels"],
            layers_per_block=wanted["layers"],
            in_channels=inputs,
            out_channels=4,
            down_block_types=[f"{kind}DownBlock2D" for kind in wanted["kinds"]],
            up_block_types=[f"{kind}UpBlock2D" for kind in reversed(wanted["kinds"])],
            cross_attention_dim=32,
            attention_head_dim=8,
            sample_size=8,
        )
        .double()
        .eval()
        .requires_grad_(False)
    )


def given(batch, inputs=4, side=8):
    dice = torch.Generator().manual_seed(1)
    return tuple(
        torch.randn(*shape, generator=dice, dtype=torch.double)
        for shape in ((batch, inputs, side, side), (batch, 7, 32))
    )


class Listener:
    """How often a network ran whole, and with how many pictures at a time."""

    def __init__(self, unet):
        self.whole, self.sizes = Counter(), []
        deepest = unet.mid_block.resnets[0].conv1
        deepest.register_forward_pre_hook(lambda _, inputs: self.whole.update([len(inputs[0])]))
        unet.conv_out.register_forward_pre_hook(lambda _, inputs: self.sizes.append(len(inputs[0])))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("side", [8, 12])  # 12 is no multiple of the deepest layer's cell
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("inputs", [4, 9])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_full_step_is_the_networks_own_and_a_light_one_equals_it_where_nothing_moved(
    shape, inputs, batch, side, layers
):
    unet, (x, text) = network(shape, inputs), given(batch, inputs, side)
    own = unet(x, torch.as_tensor(501), encoder_hidden_states=text).sample
    reuse, heard = DeepCache(UNet(unet), layers=layers), Listener(unet)
    torch.testing.assert_close(reuse(x, 501, text), own, rtol=1e-5, atol=1e-5)
    assert fits(unet) and heard.whole[batch] == 1
    torch.testing.assert_close(reuse(x, 501, text), own, rtol=1e-5, atol=1e-5)
    assert heard.whole[batch] == 1  # the second time only the outermost layers ran
    other = whole(unet)(x * 0.5, 471, text)
    light = reuse(x * 0.5, 471, text)
    assert not light.equal(own) and (light - other).abs().mean() < (own - other).abs().mean()


class Scheduled:
    alphas_cumprod, schedule = alphas_cumprod(SCHEDULE), SCHEDULE


def walked(run, steps, w=3.0, interval=(0, float("inf"))):
    x, text = given(1)[0], given(2)[1]
    walker = sampler("ddim", Scheduled, steps, 1.0)
    return [step.x for step in denoise(run, text, Strategy(), walker, x, w, 0.0, interval)]


def exact(unet):
    """Every step whole."""
    walk = UNet(unet)
    return lambda *given: walk(*given)[0]


@pytest.mark.parametrize(("steps", "full"), [(4, 4), (20, 6), (50, 6)])
def test_a_walk_runs_whole_as_often_as_its_steps_are_long(steps, full):
    unet = network()
    heard = Listener(unet)
    ends = walked(DeepCache(UNet(unet)), steps)
    assert heard.whole == {2: full} and len(heard.sizes) == steps
    if steps == full:  # so few that all of them are whole: nothing changes
        assert ends[-1].equal(walked(exact(unet), steps)[-1])


def test_with_no_span_every_step_is_exact():
    unet = network()
    for ours, own in zip(walked(DeepCache(UNet(unet), lambda t: 0), 10), walked(exact(unet), 10), strict=True):
        assert ours.equal(own)


def test_features_move_on_as_they_moved():
    reuse = DeepCache(UNet(network()))
    one = torch.ones(2, 1, 1, 1)
    reuse.features = [(900, one)]
    assert reuse.deep(850, 2).equal(one)  # nothing is known of how they move
    reuse.features = [(900, one), (800, 3 * one)]
    assert reuse.deep(800, 2).equal(3 * one)
    torch.testing.assert_close(reuse.deep(700, 2), (3 + 2 * LEAD) * one)
    torch.testing.assert_close(reuse.deep(750, 1), (3 + LEAD) * one[:1])


def test_where_guidance_ends_the_conditional_half_goes_on():
    unet, (x, text) = network(), given(2)
    heard = Listener(unet)
    reuse = DeepCache(UNet(unet))
    both = reuse(x, 501, text)
    torch.testing.assert_close(reuse(x[1:], 501, text[1:]), both[1:], rtol=1e-5, atol=1e-5)
    assert heard.whole == {2: 1}
    alone = DeepCache(UNet(unet))
    alone(x[1:], 501, text[1:])
    torch.testing.assert_close(alone(x, 501, text), both, rtol=1e-5, atol=1e-5)  # one does not do for two
    torch.testing.assert_close(alone(x, 481, text), reuse(x, 481, text), rtol=1e-5, atol=1e-5)
    assert heard.whole == {1: 1, 2: 2}


def test_a_failed_step_leaves_nothing_behind():
    unet, (x, text) = network(), given(1)
    reuse = DeepCache(UNet(unet))
    with pytest.raises(RuntimeError):
        reuse(x[:, :3], 501, text)
    assert not reuse.features and reuse(x, 501, text).equal(exact(unet)(x, 501, text))


def test_light_steps_work_where_weights_are_streamed():
    from accelerate import cpu_offload

    unet, (x, text) = network(inputs=9), given(2, 9)
    plain = DeepCache(UNet(unet))
    wanted = [plain(x * part, t, text) for part, t in ((1, 501), (0.9, 471), (0.5, 301), (0.4, 251))]
    streamed = DeepCache(UNet(cpu_offload(unet, torch.device("cpu"))))
    for part, t, own in zip((1, 0.9, 0.5, 0.4), (501, 471, 301, 251), wanted, strict=True):
        torch.testing.assert_close(streamed(x * part, t, text), own)


def test_guidance_is_on_in_its_interval_and_its_ends():
    seen = []

    def unet(x, t, text):
        seen.append((t, len(text)))
        return torch.zeros_like(x).repeat(len(text), 1, 1, 1)

    walked(unet, 10, interval=(301, 701))
    assert [t for t, n in seen if n == 2] == [701, 601, 501, 401, 301]
    assert {n for t, n in seen if t not in range(301, 702)} == {1}


@pytest.fixture(scope="module")
def painter():
    return inpaint.load("builtin")


def asked(**settings):
    dice = np.random.default_rng(0)
    picture = Image.fromarray(dice.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 48, 48))
    return Request("pizza", picture, mask, **{"seed": 1, "steps": 8, "size": 64, **settings})


@pytest.mark.parametrize("method", ["base", "inpaint"])
def test_fast_runs_the_model_less_forgets_each_walk_and_leaves_exact_as_it_was(painter, method):
    exact = painter(asked(method=method)).image.tobytes()
    fast = painter(asked(method=method, speed="fast")).image.tobytes()
    assert fast != exact and painter(asked(method=method, speed="fast")).image.tobytes() == fast
    assert painter(asked(method=method)).image.tobytes() == exact
    network = painter.model.unets[method]
    runs = []
    ear = network.mid_block.resnets[0].conv1.register_forward_pre_hook(lambda *_: runs.append(1))
    *steps, result = painter.stream(asked(method=method, speed="fast", count=2, steps=10))
    ear.remove()
    assert len(steps) == 20 and len(runs) == 10
    assert result.images[0].tobytes() == painter(asked(method=method, speed="fast", steps=10)).image.tobytes()
    assert result.report["max_change_outside"] == 0


@pytest.mark.parametrize("speed", ["exact", "fast"])
@pytest.mark.parametrize(("end", "guided"), [(1.0, 8), (0.5, 4), (0.0, 0)])
def test_guidance_ends_at_guidance_end(painter, speed, end, guided):
    sizes = []
    ear = painter.model._network("base").conv_out.register_forward_pre_hook(lambda _, x: sizes.append(len(x[0])))
    result = painter(asked(method="base", guidance_end=end, speed=speed))
    ear.remove()
    assert sizes == [2] * guided + [1] * (8 - guided)
    if end == 0:
        alone = painter(asked(method="base", guidance_scale=1, speed=speed))
        assert result.image.tobytes() == alone.image.tobytes()


def test_a_branch_is_guided_as_far_as_the_whole_walk_would_be(painter):
    request = asked(method="base", guidance_end=0.5)
    *steps, result = painter.stream(request)
    *rest, branched = painter.resume(steps[1], request)
    assert [step.index for step in rest] == [2, 3, 4, 5, 6, 7]
    assert branched.image.tobytes() == result.image.tobytes()
    *rest, fast = painter.resume(steps[1], replace(request, speed="fast"))
    assert len(rest) == 6 and fast.request.speed == "fast" and fast.image.tobytes() != result.image.tobytes()


@pytest.mark.parametrize(
    "settings", [{"eta": 0.0}, {"eta": 1.0}, {"eta": 0.0, "fresh_noise": True}, {"eta": 1.0, "fresh_noise": True}]
)
def test_a_branch_of_the_same_seed_draws_the_noise_that_the_walk_drew(painter, settings):
    request = asked(method="base", **settings)
    *steps, result = painter.stream(request)
    for at in (0, 3):
        assert list(painter.resume(steps[at], request))[-1].image.tobytes() == result.image.tobytes()


def test_the_toy_has_nothing_to_skip():
    toy = inpaint.load("toy")
    assert toy(asked(speed="fast")).image.tobytes() == toy(asked()).image.tobytes()


def test_the_choice_arrives_everywhere(tmp_path):
    toy = inpaint.load("toy")
    result = toy(asked(speed="fast", guidance_end=0.5))
    back = Request.from_image(result.save(tmp_path / "out.png"))
    assert (back.speed, back.guidance_end) == ("fast", 0.5)
    text = infotext.write(back.settings(), {}, (64, 64), whole=True)
    assert infotext.read(text, options())[0]["speed"] == "fast"
    flags = parser().parse_args(["--speed", "fast", "--guidance-end", "0.5"])
    assert (flags.speed, flags.guidance_end) == ("fast", 0.5)
    assert "speed" in json.loads(json.dumps(Request().settings())) and Request().speed == "exact"


def test_the_page_and_its_endpoint_offer_it(tmp_path):
    from page.api import Api
    from page.layout import Page
    from page.limits import Limits
    from page.paint.controls import FIRST
    from page.words.say import WORDS

    page = Page(Limits(), "toy")
    Image.new("RGB", (64, 64)).save(tmp_path / "picture.png")
    request, *_ = Api(page).request(str(tmp_path / "picture.png"), "", "pizza", '{"speed": "fast"}', "")
    assert request.speed == "fast"
    assert "settings" in inspect.signature(Api(page).inpaint).parameters  # what MCP shows of the endpoint
    assert "speed" in FIRST and all(len(set(WORDS[f"speed{key}"])) == 2 for key in ("", "_exact", "_fast", "_info"))
