"""Check single files and separate VAEs: real shapes, every form of a VAE, configurations beside the file."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from inpaint import ModelError
from inpaint.models import ldm_config, loading, single_file, vae_files, weight_files
from inpaint.models.loading import load
from inpaint.models.weight_files import count
from tests.conftest import GOLDEN

LDM = GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors"
CONFIG = GOLDEN / "model_diffusers"


@pytest.fixture(scope="module")
def tiny():
    return load(str(LDM), config=str(CONFIG), dtype="float32")


def norm(name, n):
    return {f"{name}.weight": [n], f"{name}.bias": [n]}


def conv(name, i, o, k=3):
    return {f"{name}.weight": [o, i, k, k], f"{name}.bias": [o]}


def linear(name, i, o, bias=True):
    return {f"{name}.weight": [o, i], **({f"{name}.bias": [o]} if bias else {})}


def attention(name, n, width, flat):
    """ldm's SpatialTransformer; Stable Diffusion 2 projects with linear layers."""
    block, found = f"{name}.transformer_blocks.0", {}
    for k, source in ((1, n), (2, width)):
        for part, i in (("to_q", n), ("to_k", source), ("to_v", source)):
            found |= linear(f"{block}.attn{k}.{part}", i, n, bias=False)
        found |= linear(f"{block}.attn{k}.to_out.0", n, n)
    found |= linear(f"{block}.ff.net.0.proj", n, 8 * n) | linear(f"{block}.ff.net.2", 4 * n, n)
    for k in (1, 2, 3):
        found |= norm(f"{block}.norm{k}", n)
    for part in ("proj_in", "proj_out"):
        found |= linear(f"{name}.{part}", n, n) if flat else conv(f"{name}.{part}", n, n, 1)
    return found | norm(f"{name}.norm", n)


def residual(name, i, o):
    found = norm(f"{name}.in_layers.0", i) | conv(f"{name}.in_layers.2", i, o)
    found |= linear(f"{name}.emb_layers.1", 1280, o) | norm(f"{name}.out_layers.0", o)
    found |= conv(f"{name}.out_layers.3", o, o)
    return found | (conv(f"{name}.skip_connection", i, o, 1) if i != o else {})


def unet_shapes(channels, width, flat):
    """ldm's UNetModel: model_channels 320, mult 1 2 4 4, two blocks a level, attention on the first three."""
    p, sizes = "model.diffusion_model", [320, 640, 1280, 1280]
    found = linear(f"{p}.time_embed.0", 320, 1280) | linear(f"{p}.time_embed.2", 1280, 1280)
    found |= conv(f"{p}.input_blocks.0.0", channels, 320)
    n, k, skips = 320, 1, [320]
    for level, size in enumerate(sizes):
        for _ in range(2):
            found |= residual(f"{p}.input_blocks.{k}.0", n, size)
            if level < 3:
                found |= attention(f"{p}.input_blocks.{k}.1", size, width, flat)
            n, k, skips = size, k + 1, [*skips, size]
        if level < 3:
            found |= conv(f"{p}.input_blocks.{k}.0.op", n, n)
            k, skips = k + 1, [*skips, n]
    found |= residual(f"{p}.middle_block.0", n, n) | attention(f"{p}.middle_block.1", n, width, flat)
    found |= residual(f"{p}.middle_block.2", n, n)
    k = 0
    for level, size in reversed(list(enumerate(sizes))):
        for block in range(3):
            found |= residual(f"{p}.output_blocks.{k}.0", n + skips.pop(), size)
            n = size
            if level < 3:
                found |= attention(f"{p}.output_blocks.{k}.1", n, width, flat)
            if level and block == 2:
                found |= conv(f"{p}.output_blocks.{k}.{2 if level < 3 else 1}.conv", n, n)
            k += 1
    return found | norm(f"{p}.out.0", n) | conv(f"{p}.out.2", n, 4)


def vae_shapes():
    """ldm's AutoencoderKL f8: ch 128, mult 1 2 4 4, two blocks a level."""
    sizes, found = [128, 256, 512, 512], {}

    def block(name, i, o):
        parts = norm(f"{name}.norm1", i) | conv(f"{name}.conv1", i, o)
        parts |= norm(f"{name}.norm2", o) | conv(f"{name}.conv2", o, o)
        return parts | (conv(f"{name}.nin_shortcut", i, o, 1) if i != o else {})

    for half, depth, order in (("encoder", 2, range(4)), ("decoder", 3, range(3, -1, -1))):
        n = 128 if half == "encoder" else 512
        found |= conv(f"{half}.conv_in", 3 if half == "encoder" else 4, n)
        for level in order:
            way = "down" if half == "encoder" else "up"
            for k in range(depth):
                found |= block(f"{half}.{way}.{level}.block.{k}", n, sizes[level])
                n = sizes[level]
            if level != order[-1]:
                found |= conv(f"{half}.{way}.{level}.{way}sample.conv", n, n)
        found |= block(f"{half}.mid.block_1", 512, 512) | block(f"{half}.mid.block_2", 512, 512)
        found |= norm(f"{half}.mid.attn_1.norm", 512)
        for part in ("q", "k", "v", "proj_out"):
            found |= conv(f"{half}.mid.attn_1.{part}", 512, 512, 1)
        found |= norm(f"{half}.norm_out", n) | conv(f"{half}.conv_out", n, 8 if half == "encoder" else 3)
    found |= conv("quant_conv", 8, 8, 1) | conv("post_quant_conv", 4, 4, 1)
    return {f"first_stage_model.{name}": shape for name, shape in found.items()}


def clip_shapes():
    """CLIP ViT-L/14's text half, as Stable Diffusion 1.x files name it."""
    p = "cond_stage_model.transformer.text_model"
    found = {
        f"{p}.embeddings.position_ids": [1, 77],
        f"{p}.embeddings.token_embedding.weight": [49408, 768],
        f"{p}.embeddings.position_embedding.weight": [77, 768],
    } | norm(f"{p}.final_layer_norm", 768)
    for k in range(12):
        layer = f"{p}.encoder.layers.{k}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            found |= linear(f"{layer}.self_attn.{part}", 768, 768)
        found |= linear(f"{layer}.mlp.fc1", 768, 3072) | linear(f"{layer}.mlp.fc2", 3072, 768)
        found |= norm(f"{layer}.layer_norm1", 768) | norm(f"{layer}.layer_norm2", 768)
    return found


def open_clip_shapes():
    """OpenCLIP ViT-H/14's text half with all its 24 layers, of which Stable Diffusion 2 uses 23."""
    p = "cond_stage_model.model"
    found = {
        f"{p}.token_embedding.weight": [49408, 1024],
        f"{p}.positional_embedding": [77, 1024],
        f"{p}.text_projection": [1024, 1024],
        f"{p}.logit_scale": [],
    } | norm(f"{p}.ln_final", 1024)
    for k in range(24):
        layer = f"{p}.transformer.resblocks.{k}"
        found |= {f"{layer}.attn.in_proj_weight": [3072, 1024], f"{layer}.attn.in_proj_bias": [3072]}
        found |= linear(f"{layer}.attn.out_proj", 1024, 1024)
        found |= linear(f"{layer}.mlp.c_fc", 1024, 4096) | linear(f"{layer}.mlp.c_proj", 4096, 1024)
        found |= norm(f"{layer}.ln_1", 1024) | norm(f"{layer}.ln_2", 1024)
    return found


@pytest.mark.parametrize(
    ("family", "channels", "method", "millions"),
    [("sd15", 4, "base", 1066), ("sd15", 9, "inpaint", 1066), ("sd2", 9, "inpaint", 1304)],
)
def test_real_files_fit_the_shipped_configurations(family, channels, method, millions, monkeypatch, tmp_path):
    """Every tensor of a checkpoint of real size finds its place; here each is one zero, seen in its shape."""
    text = clip_shapes() if family == "sd15" else open_clip_shapes()
    found = unet_shapes(channels, 768 if family == "sd15" else 1024, family == "sd2") | vae_shapes() | text
    found |= {"betas": [1000], "alphas_cumprod": [1000], "model_ema.decay": []}
    assert round(count({k: s for k, s in found.items() if k.startswith(single_file.PARTS)}) / 1e6) == millions
    zero = torch.zeros((), dtype=torch.float16)
    monkeypatch.setattr(weight_files, "shapes", lambda *_: found)
    monkeypatch.setattr(weight_files, "metadata", lambda *_: {})
    monkeypatch.setattr(
        single_file, "tensors", lambda *_: {name: zero.expand(shape) for name, shape in found.items()}
    )
    file = single_file.SingleFile(tmp_path / "v1.safetensors")
    assert file.folder.name == family and file.methods == (method,)
    unet, vae = file.unet(method, torch.float16), file.vae(torch.float16)
    assert unet.config.in_channels == channels and vae.config.scaling_factor == 0.18215
    assert file.text_encoder(torch.float16).config.num_hidden_layers == (12 if family == "sd15" else 23)
    assert file.tokenizer()("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]


def test_the_original_configuration_beside_the_file(tiny, tmp_path):
    path = tmp_path / "mine.safetensors"
    shutil.copy(LDM, path)
    original = json.loads((GOLDEN / "model_ldm" / "tiny_sd_v1.json").read_text())
    original["model"]["params"] |= {"parameterization": "v", "linear_start": 0.001, "timesteps": 500}
    (tmp_path / "mine.yaml").write_text(json.dumps(original))  # JSON is YAML
    model = load(str(path), config=str(CONFIG), dtype="float32")
    assert model.predicts == {"base": "v_prediction"} and tiny.predicts == {"base": "epsilon"}
    assert model.schedule["beta_start"] == 0.001 and len(model.alphas_cumprod) == 500
    ours, theirs = model.unets["base"].config, tiny.unets["base"].config
    for key in ("block_out_channels", "cross_attention_dim", "down_block_types", "in_channels", "layers_per_block"):
        assert ours[key] == theirs[key]
    original["model"]["params"]["unet_config"]["params"]["model_channels"] = 64
    (tmp_path / "mine.yaml").write_text(json.dumps(original))
    with pytest.raises(ModelError, match="misshapen"):
        load(str(path), config=str(CONFIG))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine.json", '{"description": "my notes", "model": "a"}'),
        ("mine.json", "[1, 2]"),
        ("mine.yaml", "just words"),
    ],
)
def test_other_notes_beside_the_file_are_passed_over(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    assert ldm_config.beside(tmp_path / "mine.safetensors") is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine.json", "{"),
        ("mine.yaml", "a: [b"),
        ("mine.yaml", "a: !!python/x"),
        ("mine.json", '{"model": {"params": {"unet_config": 1, "first_stage_config": {}}}}'),
    ],
)
def test_a_broken_configuration_is_one_sentence(name, text, tmp_path):
    shutil.copy(LDM, tmp_path / "mine.safetensors")
    (tmp_path / name).write_text(text)
    with pytest.raises(ModelError, match="mine"):
        load(str(tmp_path / "mine.safetensors"), config=str(CONFIG))


@pytest.fixture
def vaes(tiny, tmp_path):
    """The tiny VAE, its decoder's last bias moved, in every form people have VAEs in."""
    moved = tmp_path / "moved"
    shutil.copytree(CONFIG / "vae", moved / "vae")
    weights = {key: value for key, value in load_file(LDM).items() if key.startswith("first_stage_model.")}
    key = "first_stage_model.decoder.conv_out.bias"
    weights[key] = weights[key].float() + 0.5
    save_file({**load_file(LDM), **weights}, tmp_path / "whole.safetensors")
    bare = {name.removeprefix("first_stage_model."): value for name, value in weights.items()}
    save_file({**bare, "loss.logvar": torch.zeros(1)}, tmp_path / "bare.safetensors")
    torch.save({"state_dict": bare}, tmp_path / "bare.ckpt")
    vae = load(str(LDM), config=str(CONFIG), vae=str(tmp_path / "whole.safetensors"), dtype="float32").vae
    vae.save_pretrained(tmp_path / "alone")
    vae.save_pretrained(moved / "vae")
    shutil.copy(tmp_path / "alone" / "diffusion_pytorch_model.safetensors", tmp_path / "diffusers.safetensors")
    return tmp_path


@pytest.mark.parametrize(
    "form", ["whole.safetensors", "bare.safetensors", "bare.ckpt", "alone", "moved", "diffusers.safetensors"]
)
def test_another_vae_in_every_form(form, vaes, tiny):
    model = load(str(LDM), config=str(CONFIG), vae=str(vaes / form), dtype="float32", allow_pickle=True)
    z = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.decode(z), tiny.decode(z) + 0.5, rtol=1e-4, atol=1e-4)
    assert model.fingerprint != tiny.fingerprint


def test_what_is_no_vae(vaes):
    save_file({"other": torch.zeros(1)}, vaes / "other.safetensors")
    (vaes / "alone" / "config.json").write_text('{"_class_name": "AutoencoderOobleck"}')
    for name, words in (
        ("other.safetensors", "holds no VAE"),
        ("alone", "AutoencoderOobleck"),
        ("moved/unet", "no model"),
        ("bare.ckpt", "pickle"),
    ):
        with pytest.raises(ModelError, match=words):
            load(str(LDM), config=str(CONFIG), vae=str(vaes / name))
    with pytest.raises(ModelError, match=r"bare\.safetensors"):  # shapes of another VAE than the configuration's
        load(str(loading.BUILTIN), vae=str(vaes / "bare.safetensors"))


def test_the_tokenizer_must_fit_the_text_encoder(tmp_path):
    shutil.copytree(CONFIG, tmp_path / "config")
    shutil.rmtree(tmp_path / "config" / "tokenizer")
    with pytest.raises(ModelError, match="more words"):
        load(str(LDM), config=str(tmp_path / "config"))


def test_a_suffix_in_capitals(tiny, tmp_path):
    path = shutil.copy(LDM, tmp_path / "MODEL.SAFETENSORS")
    model = load(path, config=str(CONFIG), vae=path, dtype="float32")
    x, text = torch.ones(1, 4, 8, 8), tiny.embed(["a cat"])
    assert torch.equal(model.unet("base")(x, 1, text), tiny.unet("base")(x, 1, text))


def without(path, *prefixes):
    save_file({key: value for key, value in load_file(LDM).items() if not key.startswith(prefixes)}, path)
    return str(path)


def test_a_checkpoint_without_a_vae(tiny, tmp_path):
    bare = without(tmp_path / "bare.safetensors", "first_stage_model.")
    with pytest.raises(ModelError, match=r"bare\.safetensors holds no VAE\. Name one with vae=.* --vae"):
        load(bare, config=str(CONFIG))
    z = torch.zeros(1, 4, 4, 4)
    assert torch.equal(load(bare, config=str(CONFIG), vae=str(LDM), dtype="float32").decode(z), tiny.decode(z))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("unet.a.lora_A.weight",), "It is a LoRA: name it with loras="),
        (("lora_unet_a.hada_w1_a",), "It is a LoRA"),
        (("emb_params",), "textual-inversion embedding: name it with embeddings="),
        (("encoder.conv_in.weight", "decoder.conv_in.weight"), "It is a VAE: name it with vae="),
        (("down_blocks.0.resnets.0.conv1.weight",), "a UNet alone"),
        (("blocks.0.cross_attn.norm_k.weight",), "It is Wan, a model for video"),
        (("transformer_blocks.0.img_mod.1.weight",), "It is Qwen-Image"),
        (("noise_refiner.0.attention.qkv.weight",), "It is Z-Image or Lumina"),
        (("double_stream_modulation_img.lin.weight",), r"It is FLUX\.2"),
        (("encoder.block.0.layer.0.SelfAttention.q.weight",), "It is T5"),
        (("text_model.encoder.layers.0.mlp.fc1.weight",), "It is CLIP"),
        (("single_transformer_blocks.0.attn.to_q.weight",), "a transformer alone"),
        (("control_model.input_hint_block.0.weight",), "It is a ControlNet"),
        (("something",), "Choose a full checkpoint"),
    ],
)
def test_a_file_of_another_kind_is_recognised(keys, words, tmp_path):
    save_file({key: torch.zeros(2) for key in keys}, tmp_path / "odd.safetensors")
    with pytest.raises(ModelError, match=words):
        load(str(tmp_path / "odd.safetensors"))


def test_a_unet_alone_has_no_text_encoder(tmp_path):
    alone = without(tmp_path / "alone.safetensors", "first_stage_model.", "cond_stage_model.")
    with pytest.raises(ModelError, match=r"holds no text encoder: it is a UNet alone\. .*inpaint="):
        load(alone, config=str(CONFIG), vae=str(LDM))


@pytest.mark.parametrize("sign", ["conditioner.embedders.0.weight", "model.diffusion_model.label_emb.0.0.weight"])
def test_stable_diffusion_xl_is_recognised_by_its_keys(sign, tmp_path):
    save_file({**load_file(LDM), sign: torch.zeros(1)}, tmp_path / "xl.safetensors")
    with pytest.raises(ModelError, match=r"is a Stable Diffusion XL model, and the configurations .* are not"):
        load(str(tmp_path / "xl.safetensors"), config=str(CONFIG))
    with pytest.raises(ModelError, match="VAE of Stable Diffusion XL"):
        load(str(LDM), config=str(CONFIG), vae=str(tmp_path / "xl.safetensors"))


def test_a_vae_of_stable_diffusion_xl_is_refused(vaes):
    """It has the same layers; only its configuration, its metadata, its name or its numbers tell it."""
    shutil.copy(vaes / "bare.safetensors", vaes / "sdxl_vae.safetensors")
    save_file(
        load_file(vaes / "bare.safetensors"),
        vaes / "noted.safetensors",
        metadata={"modelspec.architecture": "stable-diffusion-xl-v1-base/vae"},
    )
    config = json.loads((vaes / "alone" / "config.json").read_text())
    (vaes / "alone" / "config.json").write_text(json.dumps({**config, "scaling_factor": 0.13025}))
    for name in ("sdxl_vae.safetensors", "noted.safetensors", "alone"):
        with pytest.raises(ModelError, match=rf"{name} is the VAE of Stable Diffusion XL"):
            load(str(LDM), config=str(CONFIG), vae=str(vaes / name))


def test_a_vae_of_the_usual_shape_is_recognised_by_its_last_layer(tmp_path):
    """Trained on from the model's own it resembles it; trained anew, as Stable Diffusion XL's, it does not."""
    generator = torch.Generator().manual_seed(0)
    own, other, noise = (torch.randn(8, 512, 3, 3, generator=generator) for _ in range(3))
    key, files = vae_files.LAST, {}
    for name, tensor, prefix in (
        ("own", own, "first_stage_model."),
        ("tuned", own + 0.5 * noise, ""),
        ("xl", other, ""),
    ):
        files[name] = [tmp_path / f"{name}.safetensors"]
        save_file({prefix + key: tensor}, files[name][0])
    vae_files.check_latents(files["tuned"], files["own"], "sdxl_vae.safetensors")  # whatever it is called
    with pytest.raises(ModelError, match="Stable Diffusion XL"):
        vae_files.check_latents(files["xl"], files["own"], "any.safetensors")
    vae_files.check_latents(files["xl"], [], "any.safetensors")
    with pytest.raises(ModelError, match="Stable Diffusion XL"):
        vae_files.check_latents(files["xl"], [], "SDXL-VAE.safetensors")
