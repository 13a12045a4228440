"""Check the toy model, whose right answer in the hole is known, so that methods can be graded."""

import pytest
import torch

import inpaint
from inpaint import ModelError
from inpaint.diffusion.sampling import DDIM, Flow, MaskedBase, Strategy, denoise
from inpaint.diffusion.schedule import alphas_cumprod, timesteps
from inpaint.models.toy import SCHEDULE, FlowWiener, Wiener

N = 24  # the field's side; the hole is 8 × 8 in its middle
ABAR = alphas_cumprod(SCHEDULE)
NET = Wiener(ABAR, power=4.0)


def field():
    """(x0 [1, 4, N, N], the hole's exact conditional mean [4, 64], hole, its flat index)."""
    generator = torch.Generator().manual_seed(0)
    k = torch.fft.ifft2(NET.spectrum(N, N)).real  # covariance of cells by their distance on the torus
    cell = torch.cartesian_prod(torch.arange(N), torch.arange(N))
    C = k[(cell[:, None, 0] - cell[None, :, 0]) % N, (cell[:, None, 1] - cell[None, :, 1]) % N]
    root = torch.linalg.cholesky(C + 1e-9 * torch.eye(N * N))
    x0 = (root @ torch.randn(N * N, 4, generator=generator, dtype=torch.float64)).T.reshape(1, 4, N, N)
    hole = torch.zeros(1, 1, N, N, dtype=torch.float64)
    hole[..., 8:16, 8:16] = 1
    H = hole.flatten().bool()
    mean = (C[H][:, ~H] @ torch.linalg.solve(C[~H][:, ~H], x0[0].reshape(4, -1)[:, ~H].T)).T
    return x0, mean, hole, H


def error(strategy_of, eta, draws=32, flow=False):
    """rms distance of the mean of many results from the exact conditional mean, in prior standard deviations."""
    x0, mean, hole, H = field()
    generator, outs = torch.Generator().manual_seed(1), []

    def noise():
        return torch.randn(x0.shape, generator=generator, dtype=torch.float64)

    for _ in range(draws):
        first = noise()
        walker = Flow([1 - k / 20 for k in range(20)]) if flow else DDIM(ABAR, timesteps(20)[::-1], 50, eta, noise)
        strategy = strategy_of(x0, hole, walker, first)
        *_, last = denoise(FlowWiener(power=4.0) if flow else NET, torch.zeros(2, 1, 1), strategy, walker, first, 1.0)
        outs.append(strategy.restore(last.x)[0].reshape(4, -1)[:, H])
    return (torch.stack(outs).mean(0) - mean).pow(2).mean().sqrt().item()


def masked(x0, hole, walker, first):
    return MaskedBase(x0, lambda t: hole, walker, lambda: first)


def test_without_the_blend_the_hole_knows_nothing_of_its_surroundings():
    assert 0.75 < error(lambda *_: Strategy(), eta=0.0) < 1.0


def test_masked_flow_cuts_the_error():
    """A flow is walked without fresh noise, as DDIM with eta 0 is."""
    found, blind = error(masked, 0.0, flow=True), error(lambda *_: Strategy(), 0.0, flow=True)
    assert found <= 0.26 and 0.75 < blind < 1.0


def test_the_flows_closed_form_is_that_of_ddim_at_the_same_ratio_of_noise():
    """v = E[noise | x] - E[x0 | x]; scaled to the unit circle, both networks see the same picture."""
    x0, *_ = field()
    noise, t = torch.randn(x0.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64), 501
    a = float(ABAR[t])
    sigma = (1 - a) ** 0.5 / (a**0.5 + (1 - a) ** 0.5)
    x = (1 - sigma) * x0 + sigma * noise
    eps = NET(x * a**0.5 / (1 - sigma), t)
    torch.testing.assert_close(FlowWiener(power=4.0)(x, 1000 * sigma), eps - (x - sigma * eps) / (1 - sigma))


@pytest.mark.parametrize(("eta", "bound"), [(0.0, 0.30), (1.0, 0.20)])
def test_masked_ddim_cuts_the_error(eta, bound):
    assert error(masked, eta) <= bound


def test_the_denoiser_is_the_exact_conditional_mean():
    """E[x0 | x_t] by dense linear algebra equals the Wiener filter."""
    t, generator = 401, torch.Generator().manual_seed(0)
    a = float(ABAR[t])
    k = torch.fft.ifft2(NET.spectrum(8, 8)).real
    cell = torch.cartesian_prod(torch.arange(8), torch.arange(8))
    C = k[(cell[:, None, 0] - cell[None, :, 0]) % 8, (cell[:, None, 1] - cell[None, :, 1]) % 8]
    x = torch.randn(1, 1, 8, 8, generator=generator, dtype=torch.float64)
    exact = a**0.5 * C @ torch.linalg.solve(a * C + (1 - a) * torch.eye(64), x.flatten())
    eps = NET(x, t)
    torch.testing.assert_close((x - (1 - a) ** 0.5 * eps) / a**0.5, exact.reshape(1, 1, 8, 8))


@pytest.mark.parametrize(
    "given",
    [{"vae": "x"}, {"loras": ("a.safetensors",)}, {"config": "c"}, {"inpaint": "sd15"}, {"dtype": "bfloat16"}],
)  # fmt: skip
def test_what_the_toy_cannot_do_is_reported(given):
    with pytest.raises(ModelError, match=f"takes no {next(iter(given))}"):
        inpaint.load("toy", **given)
    inpaint.load("toy", dtype="float32", backend="auto")
