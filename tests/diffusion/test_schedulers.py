"""Compare every sampler with diffusers' scheduler: predictions, first timesteps, noise levels."""

from itertools import pairwise

import diffusers
import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

from inpaint.diffusion import prediction, schedule
from inpaint.diffusion.noise import Noise
from inpaint.diffusion.sampling import MaskedBase, Strategy, denoise
from inpaint.diffusion.schedulers import SOLVERS, sampler

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
ZERO = {**SD, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "set_alpha_to_one": True}
TEXT = torch.tensor([0.3, 1.0]).reshape(2, 1, 1)
SAMPLERS = ["ddim", *SOLVERS]
ETA = 0.3  # of diffusers' TCD


class Model:
    """The attributes of a model that a sampler reads."""

    def __init__(self, config):
        self.schedule, self.alphas_cumprod = config, schedule.alphas_cumprod(config)


def unet_of(config, kind):
    """Return a UNet whose clean picture is a smooth, bounded function of x, with this kind of prediction."""
    abar = schedule.alphas_cumprod(config)

    def unet(x, t, text):
        x, a = x.repeat(len(text) // len(x), 1, 1, 1), float(abar[int(t)])
        x0 = torch.sin(x * 1.3 + float(t) / 300) * text.reshape(-1, 1, 1, 1) / 2 + 0.2 * x.roll(1, -1)
        return prediction.target(kind, x0, (x - a**0.5 * x0) / (1 - a) ** 0.5, a)

    return unet


def latent(seed, b=1):
    return torch.randn(b, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def theirs(name, config, kind, steps, run, x0=None, rescale=0.0):
    """Walk with diffusers' scheduler as its pipelines do: from noise, or x0 noised to `run` steps from the end."""
    settings = {k: v for k, v in config.items() if k != "set_alpha_to_one"} | {"prediction_type": kind}
    if name == "ddim":
        settings |= {"clip_sample": False, "set_alpha_to_one": config.get("set_alpha_to_one", False)}
    settings = {"timestep_spacing": "leading", "steps_offset": 1} | settings
    _, cls, extra = SOLVERS.get(name, (None, "DDIMScheduler", {}))
    made = getattr(diffusers, cls)(**settings, **extra)
    made.set_timesteps(steps)
    walked = made.timesteps[len(made.timesteps) - run :]
    if hasattr(made, "set_begin_index"):
        made.set_begin_index(len(made.timesteps) - run)
    noise, unet = Noise((5,), (4, 8, 8)), unet_of(config, kind)
    x = noise() * made.init_noise_sigma if x0 is None else made.add_noise(x0, noise(), walked[:1])
    extra = {"generator": noise.generators} if name in ("euler a", "ddpm", "lcm", "tcd") else {}
    for t in walked:
        none, cond = unet(torch.cat([made.scale_model_input(x, t)] * 2), t, TEXT).chunk(2)
        out = none + 3.0 * (cond - none)
        out = rescale_noise_cfg(out, cond, rescale) if rescale else out
        x = made.step(out, t, x, **extra).prev_sample
    return x


def ours(name, config, kind, steps, strength, x0=None, rescale=0.0):
    noise = Noise((5,), (4, 8, 8))
    first = noise()
    walker = sampler(
        name, Model(config), steps, strength, noise=noise, predicts=kind, eta=ETA if name == "tcd" else 0.0
    )
    x = first * walker.init_noise_sigma if x0 is None else walker.q_sample(x0, walker.timesteps[0], first)
    return list(denoise(unet_of(config, kind), TEXT, Strategy(), walker, x, 3.0, rescale))


@pytest.mark.parametrize("config", [SD, ZERO], ids=["usual", "zero snr"])
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(("kind", "rescale"), [("epsilon", 0.0), ("v_prediction", 0.0), ("v_prediction", 0.7)])
def test_a_walk_from_noise_equals_diffusers(name, kind, rescale, config):
    if config is ZERO and kind == "epsilon":  # such a model cannot predict eps: nothing of x0 follows from it
        kind = "v_prediction"
    for steps in (10, 25):
        *_, last = ours(name, config, kind, steps, 1.0, rescale=rescale)
        expected = theirs(name, config, kind, steps, steps, rescale=rescale)
        assert last.x.isfinite().all()
        # at zero SNR Euler's sigma is 4096: diffusers' subtraction there rounds to 2.4e-4
        close = 3e-4 if name == "euler" and config is ZERO else 3e-5
        torch.testing.assert_close(last.x, expected, atol=close, rtol=close)


@pytest.mark.parametrize("config", [SD, ZERO], ids=["usual", "zero snr"])
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_a_walk_from_a_picture_equals_diffusers(name, kind, config):
    x0, kind = latent(1), "v_prediction" if config is ZERO else kind
    *_, last = ours(name, config, kind, 20, 0.6, x0)
    torch.testing.assert_close(last.x, theirs(name, config, kind, 20, 12, x0), atol=3e-5, rtol=3e-5)


@pytest.mark.parametrize("name", ["ddim", "euler", "euler a", "ddpm"])
@pytest.mark.parametrize("steps", [1, 4, 8])
def test_trailing_spacing_that_is_asked_for_equals_diffusers(name, steps):
    noise = Noise((5,), (4, 8, 8))
    first = noise()
    walker = sampler(name, Model(SD), steps, 1.0, noise=noise, spacing="trailing")
    x = first * walker.init_noise_sigma
    *_, last = denoise(unet_of(SD, "epsilon"), TEXT, Strategy(), walker, x, 3.0)
    expected = theirs(name, {**SD, "timestep_spacing": "trailing"}, "epsilon", steps, steps)
    torch.testing.assert_close(last.x, expected, atol=3e-5, rtol=3e-5)
    assert walker.timesteps[0] == 999
    asked = sampler(name, Model(ZERO), steps, 1.0, noise=noise, predicts="v_prediction", spacing="leading")
    assert asked.timesteps[0] < 999 or steps == 1


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_tcd_equals_diffusers_at_every_eta(eta):
    noise, unet = Noise((5,), (4, 8, 8)), unet_of(SD, "epsilon")
    walker = sampler("tcd", Model(SD), 4, 1.0, noise=noise, eta=eta)
    *_, last = denoise(unet, TEXT, Strategy(), walker, noise(), 1.0)
    noise, made = Noise((5,), (4, 8, 8)), diffusers.TCDScheduler(**SD)
    made.set_timesteps(4)
    assert walker.timesteps == made.timesteps.tolist()
    x = noise()
    for t in made.timesteps:
        x = made.step(unet(x, t, TEXT[1:]), t, x, eta=eta, generator=noise.generators).prev_sample
    torch.testing.assert_close(last.x, x, atol=3e-5, rtol=3e-5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_model_that_predicts_the_picture_itself_is_walked_too(name):
    """x0 is turned into what the scheduler knows: the oracle's picture comes out."""
    x0 = latent(3)
    for config in (SD, ZERO):
        noise = Noise((5,), (4, 8, 8))
        walker = sampler(name, Model(config), 10, 1.0, noise=noise, predicts="sample")
        steps = list(denoise(lambda x, t, text: x0, TEXT, Strategy(), walker, noise() * walker.init_noise_sigma))
        assert all(torch.equal(step.pred_x0, x0) for step in steps)
        assert (steps[-1].x - x0).abs().max() < 0.3


@pytest.mark.parametrize("kind", prediction.KINDS)
def test_the_three_predictions_say_the_same(kind):
    x0, eps = latent(1), latent(2)
    for a in (0.99, 0.5, 0.01):
        x = a**0.5 * x0 + (1 - a) ** 0.5 * eps
        found = prediction.x0_and_eps(kind, prediction.target(kind, x0, eps, a), x, a)
        torch.testing.assert_close(torch.cat(found), torch.cat([x0, eps]), rtol=1e-4, atol=1e-4)


def test_zero_terminal_snr_is_diffusers_own_rescaling():
    theirs = diffusers.DDIMScheduler(**{**ZERO, "clip_sample": False}).alphas_cumprod
    ours = schedule.alphas_cumprod(ZERO)
    torch.testing.assert_close(ours.float(), theirs, atol=2e-6, rtol=2e-4)
    assert float(ours[-1]) == 0 and float(schedule.alphas_cumprod(SD)[-1]) > 0.004


@pytest.mark.parametrize("steps", [1, 3, 7, 20, 30, 61, 103, 122, 150])
def test_trailing_walks_begin_at_the_last_level(steps):
    for name in SAMPLERS:
        walked = sampler(
            name, Model(ZERO), steps, 1.0, noise=Noise((5,), (4, 8, 8)), predicts="v_prediction"
        ).timesteps
        assert len(walked) == steps and walked[0] == 999 and min(walked) >= 0
    reference = diffusers.DDIMScheduler(**{**ZERO, "clip_sample": False})
    reference.set_timesteps(steps)
    if len(reference.timesteps) == steps:  # it counts one too many for a few divisions
        assert sampler("ddim", Model(ZERO), steps, 1.0).timesteps == reference.timesteps.tolist()


@pytest.mark.parametrize("config", [SD, ZERO], ids=["usual", "zero snr"])
@pytest.mark.parametrize(
    ("steps", "strength"),
    [(20, 0.3), (50, 0.3), (150, 0.25), (100, 0.15), (20, 0.05), (1, 0.5), (7, 0.9), (13, 0.77)],
)
def test_exact_steps_are_spread_evenly_below_the_strength(steps, strength, config):
    levels = strength * 1000
    for name in SAMPLERS:
        walker = sampler(name, Model(config), steps, strength, exact=True, noise=Noise((5,), (4, 8, 8)))
        walked = walker.timesteps
        assert len(walked) == steps, name
        assert levels - levels / steps - 1 <= walked[0] <= levels, (name, walked[0])
        if name != "dpm++ 2m":  # Karras' levels are close together where there is little noise
            gaps = [a - b for a, b in pairwise(walked)]
            assert not gaps or max(gaps) - min(gaps) <= 2 + levels / steps / 10, (name, walked)


@pytest.mark.parametrize("name", SAMPLERS)
def test_exact_steps_end_at_the_picture(name):
    x0, noise = latent(3), Noise((5,), (4, 8, 8))
    walker = sampler(name, Model(SD), 12, 0.4, exact=True, noise=noise, predicts="v_prediction")
    abar = schedule.alphas_cumprod(SD)

    def oracle(x, t, text):
        a = float(abar[int(t)])
        return prediction.target("v_prediction", x0, (x - a**0.5 * x0) / (1 - a) ** 0.5, a)

    x = walker.q_sample(x0 + 0.5, walker.timesteps[0], noise())
    *_, last = denoise(oracle, TEXT, Strategy(), walker, x)
    assert (last.x - x0).abs().mean() < 0.1


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("config", [SD, ZERO], ids=["usual", "zero snr"])
def test_noise_is_measured_the_same_before_during_and_after_a_walk(name, config):
    model, x0, noise = Model(config), torch.zeros(1, 4, 8, 8), Noise((5,), (4, 8, 8))
    first, walker = noise(), sampler(name, model, 12, 1.0, noise=noise, predicts="v_prediction")
    every = walker.timesteps
    before = [walker.q_sample(x0, t, first) for t in every]
    strategy = MaskedBase(x0, lambda t: torch.zeros(1, 1, 8, 8), walker, lambda: first)
    unet = unet_of(config, "v_prediction")
    for step in denoise(unet, TEXT, strategy, walker, first * walker.init_noise_sigma):
        expected = (1 - float(model.alphas_cumprod[int(step.t)])) ** 0.5 * first  # all is kept, and the picture is 0
        torch.testing.assert_close(step.seen, expected, atol=2e-2, rtol=2e-2)  # Karras' levels lie between timesteps
    after = [walker.q_sample(x0, t, first) for t in every]
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True)) or name == "dpm++ 2m"
    assert min(x.std() for x in after) > 0.02


def test_a_walk_can_start_anywhere_and_goes_the_same_way():
    for name in SAMPLERS:
        noise, unet = Noise((5,), (4, 8, 8)), unet_of(SD, "epsilon")
        walker = sampler(name, Model(SD), 10, 1.0, noise=noise)
        kept = []
        for step in denoise(unet, TEXT, Strategy(), walker, noise() * walker.init_noise_sigma, 3.0):
            kept.append((step, noise.states()))
        noise = Noise((5,), (4, 8, 8))
        walker = sampler(name, Model(SD), 10, 1.0, noise=noise)
        walker.start_at(4, kept[3][0].memory)
        noise.generators[0].set_state(kept[3][1][0])
        again = list(denoise(unet, TEXT, Strategy(), walker, kept[3][0].x, 3.0))
        assert len(again) == 6 and torch.equal(again[-1].x, kept[-1][0].x), name
