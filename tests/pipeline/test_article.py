"""Compare with the article's own numbers: every case in $GOLDEN_DIR/cases, with our sampler and loader.

The cases were recorded from the article's program on a tiny checkpoint (tests/data/golden/README.md).  Settings
come from each file's metadata, so more cases of the kind can be dropped in.
"""

import json
import shutil
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from inpaint import Inpainter, Request
from inpaint.diffusion import schedule
from inpaint.diffusion.sampling import DDIM, InpaintUNet, MaskedBase, Strategy, denoise
from inpaint.models.loading import load
from inpaint.pipeline import article
from tests.conftest import GOLDEN

FILES = sorted((GOLDEN / "cases").glob("*.safetensors"))
CASES = [path for path in FILES if path.stem not in ("preproc_text", "schedules")]
LDM = GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors"
CONFIG = GOLDEN / "model_diffusers"


def read(path):
    with safe_open(path, "pt") as f:
        arrays = {key: f.get_tensor(key) for key in f.keys()}  # noqa: SIM118  a safe_open is no dict
        meta = {}
        for key, value in (f.metadata() or {}).items():
            try:
                meta[key] = json.loads(value)
            except ValueError:
                meta[key] = value
    return arrays, meta


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """base: the 4-channel single file; inpaint: the 9-channel single file, made of it and its first convolution."""
    nine = tmp_path_factory.mktemp("golden") / "tiny_inpaint9.safetensors"
    weights = load_file(LDM)
    first = load_file(GOLDEN / "model_ldm" / "tiny_inpaint9_first_conv.safetensors")
    name = "model.diffusion_model.input_blocks.0.0.weight"
    save_file({**weights, name: first[name].to(weights[name].dtype)}, nine)
    return {
        "base": load(str(LDM), config=str(CONFIG), dtype="float32"),
        "inpaint": load(str(nine), config=str(CONFIG), dtype="float32"),
    }


@cache
def schedules():
    return read(GOLDEN / "cases" / "schedules.safetensors")[0]


def article_ddim(model, steps, eta, noise=None):
    every = schedule.timesteps(steps, 1000, "article")
    return every, DDIM(model.alphas_cumprod, every[::-1], 1000 // steps, eta, noise)


def test_the_cases_are_there():
    assert len(CASES) >= 4 and len(FILES) == len(CASES) + 2


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_closed_loop(path, models):
    """Our whole loop with our own UNet calls ends at the article's latents."""
    case, meta = read(path)
    method = "inpaint" if "c_concat" in case else "base"
    model, q, p = models[method], iter(case.get("noise_q", ())), iter(case.get("noise_p", ()))
    every, ddim = article_ddim(model, meta["ddim_steps"], meta["eta"], lambda: next(p))
    x = case.get("x_T", case.get("noise_xT"))
    if meta.get("t_enc") is not None:
        x = ddim.q_sample(case["x0"], every[meta["t_enc"]], case["noise_encode"])
        torch.testing.assert_close(x, case["z_enc"], rtol=1e-5, atol=1e-5)
        ddim.timesteps = every[: meta["t_enc"]][::-1]
    assert ddim.timesteps == case["t_run"].tolist()
    strategy = Strategy()
    if method == "inpaint":
        strategy = InpaintUNet(lambda t: case["c_concat"])
    elif "keep_mask" in case:
        strategy = MaskedBase(case["x0"], lambda t: 1 - case["keep_mask"], ddim, lambda: next(q), False)
    text = torch.cat([case["uncond"], case["cond"]])
    steps = list(denoise(model.unet(method), text, strategy, ddim, x, meta["scale"]))
    assert (steps[-1].x - case["final"]).abs().max() <= 5e-4
    assert (torch.stack([s.pred_x0 for s in steps]) - case["pred_x0"]).abs().max() <= 5e-3
    if "inter_pred_x0" in case:
        every = meta["log_every_t"]  # it logs the first, the last and every so many, counted from the end
        logged = [s for s in steps if (s.total - s.index - 1) % every == 0 or s.index == 0]
        assert [s.index for s in logged] == meta["intermediates_loop_i"]
        for ours, theirs in zip(logged, case["inter_pred_x0"][1:], strict=True):  # theirs begin with the noise
            assert (ours.pred_x0 - theirs).abs().max() <= 5e-3


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_single_steps(path, models):
    """One DDIM step on the recorded UNet outputs, to 1e-5 relative."""
    case, meta = read(path)
    noise = iter(case.get("noise_p", ()))
    _, ddim = article_ddim(models["base"], meta["ddim_steps"], meta["eta"], lambda: next(noise))
    for i, t in enumerate(case["t_run"].tolist()):
        eps = case["eps_cond"][i]
        if "eps_uncond" in case:
            eps = case["eps_uncond"][i] + meta["scale"] * (eps - case["eps_uncond"][i])
        for ours, theirs in zip(
            ddim.step(case["x_in"][i], eps, t), (case["x_out"][i], case["pred_x0"][i]), strict=True
        ):
            assert ((ours - theirs).abs() / (1 + theirs.abs())).max() <= 1e-5


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_blend_in_the_recorded_latents(path):
    """What the UNet was shown outside the hole is the original noised to t."""
    case, meta = read(path)
    if "noise_q" not in case:
        assert "keep_mask" not in case
        return
    every = schedule.timesteps(meta["ddim_steps"], 1000, "article")
    noise = iter(case["noise_q"])
    ddim = DDIM(schedules()["alphas_cumprod_f32"], every, 1000 // meta["ddim_steps"])
    masked = MaskedBase(case["x0"], lambda t: 1 - case["keep_mask"], ddim, lambda: next(noise), False)
    for i, t in enumerate(case["t_run"].tolist()):
        x = case["x_out"][i - 1] if i else case.get("z_enc", case.get("noise_xT", case.get("x_T")))
        torch.testing.assert_close(masked.blend(x, t), case["x_in"][i], rtol=1e-5, atol=1e-5)


def test_schedules(models):
    arrays = schedules()
    abar = models["base"].alphas_cumprod
    torch.testing.assert_close(abar.float(), arrays["alphas_cumprod_f32"], rtol=0, atol=0)
    for steps in sorted({int(key[1:4]) for key in arrays if key[0] == "S" and key[4] == "/"}):
        got = {key.split("/")[1]: arrays[key] for key in arrays if key.startswith(f"S{steps:03d}/")}
        every, ddim = article_ddim(models["base"], steps, 0.0)
        assert every == got["timesteps"].tolist()
        prev = [max(t - ddim.stride, 0) for t in every]
        torch.testing.assert_close(abar[every], got["alphas"].double(), rtol=1e-6, atol=0)
        torch.testing.assert_close(abar[prev], got["alphas_prev"].double(), rtol=1e-6, atol=0)
        torch.testing.assert_close((1 - abar[every]).sqrt(), got["sqrt_one_minus_alphas"].double(), rtol=1e-5, atol=0)
        for eta in (0.5, 1.0):
            a, a_prev = abar[every], abar[prev]
            sigma = eta * ((1 - a_prev) / (1 - a) * (1 - a / a_prev)).clamp(min=0).sqrt()
            torch.testing.assert_close(sigma, got[f"sigmas_eta{eta}"].double(), rtol=2e-4, atol=1e-6)


def test_the_articles_step_counts_quirk_and_ours():
    for steps, count in enumerate(schedules()["n_steps_for_S_1_to_500"].tolist(), 1):
        if count == -1:
            with pytest.raises(schedule.InvalidRequest):
                schedule.timesteps(steps, 1000, "article")
        else:
            assert len(schedule.timesteps(steps, 1000, "article")) == count
        assert len(schedule.timesteps(steps, 1000)) == steps


def test_preprocessing():
    arrays, _ = read(GOLDEN / "cases" / "preproc_text.safetensors")
    crops = [key for key in arrays if key.startswith("crop/")]
    for key in crops:
        _, name, size = key.split("/")
        height, width = map(int, size.split("x"))
        name = "src.png" if name == "rgb_151x110" else f"{name}.png"
        ours = article.crop_and_resize(Image.open(GOLDEN / "images" / name), height, width)
        assert np.array_equal(ours, arrays[key].numpy()), key
    assert len(crops) >= 9
    mask = arrays["mask/bin_64x96"][0, 0].numpy() * 255
    assert torch.equal(1 - article.hard_hole(mask), arrays["mask/keep_8x12"])
    levels = article.to_pixels(np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2))
    assert torch.equal(levels[0, 0, 0], arrays["norm/encode_of_0_255"])
    assert np.array_equal(article.to_uint8(levels)[0, 0, :, 0], arrays["norm/roundtrip_u8"].numpy())


def test_text(models):
    arrays, meta = read(GOLDEN / "cases" / "preproc_text.safetensors")
    model = models["base"]
    for i, prompt in enumerate(meta["prompts"]):
        for layer, clip_skip, key in (
            ("last", 0, "last"),
            ("pooled", 0, "pooled"),
            ("hidden", 1, "hidden_-2"),
            ("last", 1, "hidden_-2_plus_final_ln"),
        ):
            ours = model.embed([prompt], clip_skip=clip_skip, layer=layer, chunks=1)
            torch.testing.assert_close(ours, arrays[f"text/{key}"][i][None], rtol=1e-5, atol=1e-5)


def test_vae(models):
    case, _ = read(GOLDEN / "cases" / "a_masked_d1.safetensors")
    pixels = article.to_pixels(case["image_u8"].numpy())
    model = models["base"]
    mean = model.encode(pixels) / 0.18215
    torch.testing.assert_close(mean, case["posterior_mean"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.encode(pixels, noise=case["noise_posterior"]), case["x0"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.decode(case["final"]), case["decoded"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("path", [p for p in CASES if "image_path" in read(p)[1]], ids=lambda p: p.stem)
def test_the_whole_program_from_its_seed(path, models):
    """Request(article=True) draws the same noise from the seed and ends with the same pixels."""
    case, meta = read(path)
    height, width = meta["input_shape"]
    picture = meta["image_path"] and GOLDEN / meta["image_path"]
    mask = Image.open(GOLDEN / meta["mask_path"]) if meta["mask_path"] else None
    request = Request(
        meta["prompt"],
        picture,
        mask,
        negative_prompt=meta["n_prompt"],
        quality=meta["a_prompt"],
        steps=meta["ddim_steps"],
        seed=meta["seed"],
        eta=meta["eta"],
        guidance_scale=meta["scale"],
        strength=meta["denoise_strength"],
        count=meta["num_samples"],
        width=width,
        height=height,
        article=True,
    )
    *steps, result = Inpainter(models["base"]).stream(request)
    assert [s.t for s in steps] == case["t_run"].tolist()
    assert (steps[-1].x - case["final"]).abs().max() <= 2e-3
    for ours, theirs in zip(result.images, case["out_u8"].numpy(), strict=True):
        assert np.abs(np.asarray(ours).astype(int) - theirs).max() <= 1
        assert (np.asarray(ours) != theirs).mean() < 0.01


def test_folder_and_single_files_agree(models, tmp_path):
    folder = CONFIG
    if not (CONFIG / "unet" / "diffusion_pytorch_model.safetensors").exists():
        folder = tmp_path / "model"  # the small copy in tests/data ships the weights once, in ldm naming
        shutil.copytree(CONFIG, folder)
        base = models["base"]
        base.vae.save_pretrained(folder / "vae")
        base.text.encoder.save_pretrained(folder / "text_encoder")
        base.unet("base")
        base.unets["base"].save_pretrained(folder / "unet")
    ours, single = load(str(folder), dtype="float32"), models["base"]
    assert ours.methods == single.methods == ("base",) and models["inpaint"].methods == ("inpaint",)
    x = torch.randn(1, 4, 8, 12, generator=torch.Generator().manual_seed(0))
    text = single.embed(["a cat"])
    torch.testing.assert_close(ours.embed(["a cat"]), text, rtol=1e-5, atol=1e-5)
    eps = single.unet("base")(x, 401, text)
    torch.testing.assert_close(ours.unet("base")(x, 401, text), eps, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.decode(x), single.decode(x), rtol=1e-4, atol=1e-4)
    nine = models["inpaint"].unet("inpaint")(torch.cat([x, torch.zeros(1, 5, 8, 12)], 1), 401, text)
    torch.testing.assert_close(nine, eps, rtol=1e-4, atol=1e-4)


def test_its_steps_show_themselves_and_its_variations_are_walked_together():
    painter = Inpainter(load("toy"))
    picture, mask = Image.new("RGB", (90, 60), "teal"), Image.new("L", (90, 60), 255)
    request = Request("x", picture, mask, article=True, steps=4, seed=3, count=2, width=96, height=64, eta=1.0)
    seen = []
    result = painter(request, on_step=seen.append)
    assert [(step.index, step.total, step.image_index, step.seed) for step in seen] == [
        (k, 3, 0, 3)
        for k in range(3)  # strength 1 runs all steps but one
    ]
    assert all(len(step.pred_x0) == 2 and step.preview(48).size == (48, 32) for step in seen)
    assert [image.size for image in result.images] == [(96, 64)] * 2 and result.report["method"] == "base"
    assert result.report["steps"] == 3 and result.seeds == (3, 4)
    assert {"encode", "text", "denoise", "decode"} <= set(result.report["seconds"])


def test_the_article_uses_the_base_method_and_notes_what_is_left_out():
    painter = Inpainter(load("builtin"))
    picture, mask = Image.new("RGB", (64, 64), "teal"), Image.new("L", (64, 64), 255)
    request = Request("a cat", picture, mask, article=True, steps=2, seed=3, width=64, height=64, sampler="unipc")
    result = painter(request)
    assert result.report["method"] == "base" and result.request.eta == 0
    assert result.request.guidance_scale == painter.model.guidance["base"]
    assert any("uses ddim" in note for note in result.report["notes"])
