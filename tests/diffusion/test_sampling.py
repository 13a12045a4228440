"""Check the article's algorithm against diffusers, an oracle and its own promises."""

import threading

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel

from inpaint.diffusion import schedule
from inpaint.diffusion.noise import Noise
from inpaint.diffusion.sampling import InpaintUNet, MaskedBase, Strategy, denoise, guided
from inpaint.diffusion.schedulers import SOLVERS, sampler
from inpaint.models.toy import SCHEDULE
from inpaint.unet.forward import whole
from tests.diffusion.latents import draw, square_hole

SD = {**SCHEDULE, "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
ABAR = schedule.alphas_cumprod(SCHEDULE)


class Schedule:
    """The attributes of a model that a sampler reads."""

    alphas_cumprod, schedule = ABAR, SCHEDULE


class Oracle:
    """A UNet with the exact answer: eps = (x - √ᾱ x0) / √(1-ᾱ).  `seen` keeps its inputs."""

    def __init__(self, x0):
        self.x0, self.seen = x0, []

    def __call__(self, x, t, text):
        self.seen.append(x)
        a = float(ABAR[int(t)])
        return ((x[:, :4] - a**0.5 * self.x0) / (1 - a) ** 0.5).repeat(len(text) // len(x), 1, 1, 1)


def ddim(steps, strength=1.0, eta=0.0, noise=None):
    return sampler("ddim", Schedule, steps, strength, eta=eta, noise=noise)


def latent(seed=0, b=1):
    return draw(4, seed, b)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 4, 7, 10, 20, 30, 50])
def test_ddim_is_diffusers_ddim(steps, eta):
    reference, z = DDIMScheduler(**SD), latent(9, 2)
    reference.set_timesteps(steps)
    ours = ddim(steps, eta=eta, noise=lambda: z)
    assert ours.timesteps == reference.timesteps.tolist()
    x, eps = latent(1, 2), latent(2, 2)
    for t in ours.timesteps:
        theirs = reference.step(eps, t, x, eta=eta, variance_noise=z if eta else None)
        x_prev, pred_x0 = ours.step(x, eps, t)
        torch.testing.assert_close(x_prev, theirs.prev_sample, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(pred_x0, theirs.pred_original_sample, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("steps", "strength", "exact", "run"),
    [
        (20, 1.0, False, 20),
        (20, 0.8, False, 16),
        (50, 0.58, False, 29),
        (20, 0.01, False, 1),
        (20, 0.04, True, 20),
        (20, 0.5, True, 20),
        (150, 0.05, True, 150),
        (1, 0.3, False, 1),
    ],
)
def test_strength_decides_how_many_steps_run(steps, strength, exact, run):
    walked = sampler("ddim", Schedule, steps, strength, exact=exact).timesteps
    assert len(walked) == run
    assert walked[-1] == 1 and walked == sorted(walked, reverse=True)
    assert walked[0] <= max(1000 * strength + 1000 / steps, run)  # no finer levels than the model's own


@pytest.mark.parametrize("name", ["ddim", *SOLVERS])
def test_an_oracle_is_recovered_by_every_sampler(name):
    x0 = latent(3)
    noise = Noise((5,), (4, 8, 8))
    walker = sampler(name, Schedule, 10, 1.0, noise=noise)
    x = noise() * walker.init_noise_sigma
    steps = list(denoise(Oracle(x0), torch.zeros(2, 1, 1), Strategy(), walker, x, 7.5))
    assert len(steps) == 10
    for step in steps:
        torch.testing.assert_close(step.pred_x0, x0, atol=5e-3, rtol=5e-3)
    assert (steps[-1].x - x0).abs().max() < 0.6


@pytest.mark.parametrize("name", ["ddim", *SOLVERS])
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_every_sampler_keeps_what_it_must(name, strength):
    x0, other, hole, noise = latent(1), latent(2), square_hole(), Noise((5,), (4, 8, 8))
    first, walker = noise(), sampler(name, Schedule, 10, strength, noise=noise)
    masked = MaskedBase(x0, lambda t: hole, walker, lambda: first)
    x = first * walker.init_noise_sigma if strength == 1 else walker.q_sample(x0, walker.timesteps[0], first)
    steps = list(denoise(Oracle(other), torch.zeros(2, 1, 1), masked, walker, x, 1.0))
    out, keep = masked.restore(steps[-1].x), (hole == 0).expand_as(x0)
    assert torch.equal(out[keep], x0[keep])
    assert (out[~keep] - other[~keep]).abs().max() < 0.6
    for step in steps:  # two-sided: the preview's background is exact from the first step on
        torch.testing.assert_close(step.pred_x0[keep], x0[keep], atol=5e-3, rtol=5e-3)


def test_two_sided_changes_nothing_ddim_would_keep():
    """With the noise fixed, blending x_t alone leads DDIM to the same latents."""
    x0, other, hole, noise = latent(1), latent(2), square_hole(), latent(3)
    ends = []
    for two_sided in (True, False):
        walker = ddim(10)
        masked = MaskedBase(x0, lambda t: hole, walker, lambda: noise, two_sided)
        *_, last = denoise(Oracle(other), torch.zeros(2, 1, 1), masked, walker, noise, 1.0)
        ends.append(masked.restore(last.x))
    torch.testing.assert_close(*ends, atol=1e-5, rtol=1e-5)


def test_blend_is_the_articles_line():
    x, x0, noise, hole = latent(1), latent(2), latent(3), square_hole()
    walker, mask = ddim(20), 1 - square_hole()
    img_orig = walker.q_sample(x0, 501, noise)
    masked = MaskedBase(x0, lambda t: hole, walker, lambda: noise)
    assert torch.equal(masked.blend(x, 501), img_orig * mask + (1.0 - mask) * x)


def test_nine_channels_in_the_order_the_weights_were_trained():
    context = torch.cat([torch.ones(1, 1, 8, 8), torch.full((1, 4, 8, 8), 2.0)], 1)
    shown = InpaintUNet(lambda t: context).unet_input(torch.zeros(1, 4, 8, 8), 1)
    assert shown.shape == (1, 9, 8, 8) and shown[0, :, 0, 0].tolist() == [0] * 4 + [1] + [2] * 4


@pytest.mark.parametrize("w", [1.0, 5.0])
@pytest.mark.parametrize("name", ["ddim", *SOLVERS])
def test_nine_channels_of_several_seeds_at_once_are_those_of_each_seed_alone(name, w):
    unet, _ = tiny_networks(9)
    text = torch.randn(2, 77, 32, generator=torch.Generator().manual_seed(1))
    context = torch.cat([square_hole(), latent(4)], 1)

    def walked(*seeds):
        noise = Noise(seeds, (4, 8, 8))
        walker = sampler(name, Schedule, 4, 1.0, eta=1.0, noise=noise)
        x = noise() * walker.init_noise_sigma
        words = text.repeat_interleave(len(seeds), 0)
        *_, last = denoise(whole(unet), words, InpaintUNet(lambda t: context), walker, x, w)
        return last.x

    together = walked(5, 6, 7)
    for k, seed in enumerate((5, 6, 7)):
        torch.testing.assert_close(together[k : k + 1], walked(seed), rtol=1e-4, atol=1e-4)


def test_a_soft_hole_opens_as_t_falls():
    level = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    x0, noise, walker = latent(1), latent(2), ddim(20)
    masked = MaskedBase(x0, lambda t: (level > t / 1000).float(), walker, lambda: noise)
    oracle = Oracle(latent(4))
    *_, last = denoise(oracle, torch.zeros(2, 1, 1), masked, walker, noise, 1.0)
    open_cells = [
        int((shown - walker.q_sample(x0, t, noise)).abs().amax(1).gt(1e-6).sum())
        for shown, t in zip(oracle.seen, walker.timesteps, strict=True)
    ]
    assert open_cells[1:] == sorted(open_cells[1:]) and open_cells[1] < 10 and open_cells[-1] > 55
    assert torch.equal(masked.restore(last.x)[..., 0, 0], x0[..., 0, 0])


def test_close_cancels_and_grad_mode_does_not_leak():
    oracle = Oracle(latent())
    steps = denoise(oracle, torch.zeros(2, 1, 1), Strategy(), ddim(20), latent(), 1.0)
    next(steps)
    assert torch.is_grad_enabled()
    next(steps)
    steps.close()
    assert len(oracle.seen) == 2
    with pytest.raises(StopIteration):
        next(steps)


def test_each_step_may_run_on_another_thread():
    x, out = latent().requires_grad_(), []
    steps = denoise(Oracle(torch.zeros(1, 4, 8, 8)), torch.zeros(2, 1, 1), Strategy(), ddim(4), x, 1.0)
    for _ in range(4):
        thread = threading.Thread(target=lambda: out.append(next(steps)))
        thread.start()
        thread.join()
    assert len(out) == 4 and not any(step.x.requires_grad for step in out)


def test_guidance_takes_one_call_when_it_is_off():
    calls = []

    def unet(x, t, text):
        calls.append((len(x), text.flatten().tolist()))
        return x * text.reshape(-1, 1, 1, 1)

    text = torch.tensor([1.0, 3.0]).reshape(2, 1, 1)
    x = torch.ones(1, 4, 8, 8)
    assert torch.equal(guided(unet, x, 1, text, 1.0), 3 * x)
    assert torch.equal(guided(unet, x, 1, text, 2.0), 5 * x)  # 1 + 2 (3 - 1)
    assert calls == [(1, [3.0]), (1, [1.0, 3.0])]  # one image, shown once for both texts


def test_rescale_pulls_the_spread_back_to_the_conditional_one():
    def unet(x, t, text):
        return torch.cat([x * 0.1, x])

    x, text = latent(), torch.zeros(2, 1, 1)
    full = guided(unet, x, 1, text, 7.5, rescale=1.0)
    torch.testing.assert_close(full.std(), x.std())
    half = guided(unet, x, 1, text, 7.5, rescale=0.5)
    plain = guided(unet, x, 1, text, 7.5)
    torch.testing.assert_close(half, (full + plain) / 2)


def test_noise_of_an_image_does_not_depend_on_its_neighbours():
    alone, among = Noise((8,), (4, 8, 8)), Noise((7, 8, 9), (4, 8, 8))
    for _ in range(3):
        assert torch.equal(alone()[0], among()[1])
    assert Noise((8,), (4, 8, 8))().is_contiguous()


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 9, 20, 30, 101, 250, 333, 999])
def test_leading_spacing_has_exactly_as_many_steps_as_asked(steps):
    every = schedule.timesteps(steps)
    assert len(every) == steps and every[0] == 1 and max(every) < 1000


def tiny_networks(in_channels):
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        sample_size=8,
        in_channels=in_channels,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
    )
    vae = AutoencoderKL(
        block_out_channels=[16, 32, 32, 32],
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        latent_channels=4,
        norm_num_groups=8,
    )
    return unet.eval(), vae.eval()


@pytest.mark.filterwarnings("ignore")  # the pipeline warns about its own configuration
@pytest.mark.parametrize(("in_channels", "strength"), [(4, 0.8), (4, 0.5), (9, 1.0), (9, 0.6)])
def test_both_loops_equal_diffusers_where_it_is_defined_to(in_channels, strength):
    unet, vae = tiny_networks(in_channels)
    pipe = StableDiffusionInpaintPipeline(
        vae=vae,
        text_encoder=None,
        tokenizer=None,
        unet=unet,
        scheduler=DDIMScheduler(**SD),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 16:48, 16:40] = 1
    text = torch.randn(2, 77, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        x0, x0_masked = (
            vae.encode(p).latent_dist.mode() * vae.config.scaling_factor for p in (picture, picture * (mask < 0.5))
        )
    reference = pipe(
        image=x0 if strength < 1 else picture,
        mask_image=mask,
        masked_image_latents=x0_masked,
        prompt_embeds=text[1:],
        negative_prompt_embeds=text[:1],
        height=64,
        width=64,
        strength=strength,
        num_inference_steps=10,
        guidance_scale=5.0,
        output_type="latent",
        generator=torch.Generator().manual_seed(3),
    ).images

    noise = Noise((3,), (4, 8, 8))()
    hole, walker = mask[..., ::8, ::8], ddim(10, strength)
    strategy = MaskedBase(x0, lambda t: hole, walker, lambda: noise, two_sided=False)
    if in_channels == 9:
        context = torch.cat([hole, x0_masked], 1)
        strategy = InpaintUNet(lambda t: context)
    x = noise if strength == 1 else walker.q_sample(x0, walker.timesteps[0], noise)
    *_, last = denoise(whole(unet), text, strategy, walker, x, 5)
    torch.testing.assert_close(strategy.restore(last.x), reference, atol=2e-4, rtol=1e-4)
