"""Check rectified flows in the same loop: diffusers' sigmas and steps, an oracle, all kinds of masks."""

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from inpaint.diffusion import schedule
from inpaint.diffusion.conditioning import Conditioning
from inpaint.diffusion.noise import Noise
from inpaint.diffusion.sampling import Flow, MaskedBase, Strategy, denoise, guided
from inpaint.diffusion.schedulers import offered, sampler
from tests.diffusion.latents import draw, square_hole

FLOW = {"prediction_type": "flow", "num_train_timesteps": 1000}
SHIFTED = {**FLOW, "shift": 3.0}
DYNAMIC = {**FLOW, "use_dynamic_shifting": True, schedule.EVEN: True}
TEXT = torch.zeros(2, 1, 1)


class Model:
    """The attributes of a model that a sampler reads."""

    def __init__(self, config):
        self.schedule, self.alphas_cumprod = config, schedule.alphas_cumprod(config)


class Oracle:
    """A network with the exact answer: v = (x - x0) / σ.  `seen` keeps its inputs."""

    def __init__(self, x0):
        self.x0, self.seen = x0, []

    def __call__(self, x, t, text):
        self.seen.append(x)
        return ((x - self.x0) * 1000 / t).repeat(len(text) // len(x), 1, 1, 1)


def latent(seed=0, b=1):
    return draw(16, seed, b)


@pytest.mark.parametrize("steps", [1, 4, 20])
@pytest.mark.parametrize(("config", "tokens"), [(SHIFTED, 0), (DYNAMIC, 1024)])
def test_sigmas_and_steps_are_diffusers(config, tokens, steps):
    theirs = FlowMatchEulerDiscreteScheduler(**{key: config[key] for key in schedule.FLOW if key in config})
    if config is DYNAMIC:
        mu = 0.5 + (1.15 - 0.5) * (tokens - 256) / (4096 - 256)
        theirs.set_timesteps(sigmas=[1 - k / steps for k in range(steps)], mu=mu)
    else:
        theirs.set_timesteps(steps)
    ours = sampler("ddim", Model(config), steps, 1.0, tokens=tokens)
    torch.testing.assert_close(torch.tensor(ours.timesteps), theirs.timesteps, atol=1e-3, rtol=0)
    x, v = latent(1), latent(2)
    for t, s in zip(ours.timesteps, theirs.timesteps, strict=True):
        torch.testing.assert_close(ours.step(x, v, t)[0], theirs.step(v, s, x).prev_sample, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["ddim", "euler"])
@pytest.mark.parametrize("config", [SHIFTED, DYNAMIC])
def test_an_oracle_is_recovered(config, name):
    x0 = latent(3)
    steps = list(denoise(Oracle(x0), TEXT, Strategy(), sampler(name, Model(config), 8, 1.0, tokens=16), latent(4)))
    assert len(steps) == 8
    for step in steps:
        torch.testing.assert_close(step.pred_x0, x0, atol=1e-4, rtol=1e-4)  # the preview: x_t - σ v
    torch.testing.assert_close(steps[-1].x, x0, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_what_must_stay_stays(strength, two_sided):
    x0, other, hole, first = latent(1), latent(2), square_hole(), latent(3)
    walker = sampler("ddim", Model(SHIFTED), 10, strength)
    masked = MaskedBase(x0, lambda t: hole, walker, lambda: first, two_sided)
    x = walker.q_sample(x0, walker.timesteps[0], first)
    assert len(walker.timesteps) == round(10 * strength) and (strength < 1 or torch.equal(x, first))
    *_, last = denoise(Oracle(other), TEXT, masked, walker, x)
    out, keep = masked.restore(last.x), (hole == 0).expand_as(x0)
    assert torch.equal(out[keep], x0[keep])
    torch.testing.assert_close(out[~keep], other[~keep], atol=1e-4, rtol=1e-4)
    if two_sided:
        torch.testing.assert_close(last.pred_x0[keep], x0[keep], atol=1e-4, rtol=1e-4)


def test_exact_steps_all_lie_below_the_strength():
    walked = sampler("ddim", Model(FLOW), 10, 0.4, exact=True).timesteps
    assert len(walked) == 10 and walked[0] == pytest.approx(400) and walked == sorted(walked, reverse=True)


def test_a_soft_hole_opens_as_sigma_falls():
    level = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    x0, noise, walker = latent(1), latent(2), sampler("ddim", Model(FLOW), 20, 1.0)
    masked = MaskedBase(x0, lambda t: (level > t / 1000).float(), walker, lambda: noise)
    oracle = Oracle(latent(4))
    *_, last = denoise(oracle, TEXT, masked, walker, noise)
    cells = [
        int((shown - walker.q_sample(x0, t, noise)).abs().amax(1).gt(1e-6).sum())
        for shown, t in zip(oracle.seen, walker.timesteps, strict=True)
    ]
    assert cells == sorted(cells) and cells[1] < 10 and cells[-1] > 55
    assert torch.equal(masked.restore(last.x)[..., 0, 0], x0[..., 0, 0])


def test_a_larger_picture_is_shifted_further_towards_noise():
    small, large = (sampler("ddim", Model(DYNAMIC), 10, 1.0, tokens=tokens).timesteps for tokens in (256, 4096))
    assert all(a < b for a, b in zip(small[1:], large[1:], strict=True))


def test_the_level_of_a_step_is_what_the_network_saw():
    model, x0, noise = Model(SHIFTED), latent(1), latent(2)
    walker = sampler("ddim", model, 7, 1.0)
    for t in walker.timesteps:
        alpha, sigma = schedule.level(model.schedule, model.alphas_cumprod, t)
        torch.testing.assert_close(walker.q_sample(x0, t, noise), alpha * x0 + sigma * noise)


def test_a_flow_is_walked_straight():
    assert offered(FLOW) == ("ddim", "euler") and len(offered({})) > 5
    assert isinstance(sampler("euler", Model(FLOW), 4, 1.0), Flow)


def test_several_tensors_are_guided_as_one_is():
    """Each half of the rows goes to its own call, whichever number of tensors a row has."""

    def network(x, t, text):
        return x * (text[0] + text[1]).reshape(-1, 1, 1, 1)

    text, x = Conditioning((torch.tensor([[1.0], [3.0]]), torch.tensor([[0.5], [0.5]]))), torch.ones(1, 4, 8, 8)
    assert torch.equal(guided(network, x, 1, text, 1.0), 3.5 * x)
    assert torch.equal(guided(network, x, 1, text, 2.0), 5.5 * x)  # 1.5 + 2 (3.5 - 1.5)
    rows = text.repeat_interleave(2, 0)
    assert len(rows) == 4 and rows[0].flatten().tolist() == [1, 1, 3, 3]
    assert rows.to("cpu", torch.float64)[1].dtype is torch.float64


def test_noise_of_an_image_does_not_depend_on_its_neighbours():
    alone, among = Noise((8,), (16, 8, 8)), Noise((7, 8), (16, 8, 8))
    assert torch.equal(alone()[0], among()[1])
