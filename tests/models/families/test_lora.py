"""Compare LoRAs and learned words of every family with diffusers, in the namings of all programs."""

import re
from copy import deepcopy

import pytest
import torch
from safetensors.torch import save_file

import inpaint
from inpaint import ModelError
from inpaint.models import lora_keys
from inpaint.models.families import flux
from tests.devices.conftest import assert_same, request_of
from tests.devices.emulation import Emulated
from tests.models.families import tiny

KINDS = ["sdxl", "sd3", "dev"]
LAYERS = {  # {kind: {network in diffusers: the pattern of layers that are changed}}
    "sdxl": {
        "unet": r"(attn[12]\.to_(q|k|v|out\.0)|ff\.net\.0\.proj|proj_in|conv1)$",
        "text_encoder": r"self_attn\.(q|out)_proj$",
        "text_encoder_2": r"self_attn\.([qv]|out)_proj$",
    },
    "sd3": {
        "transformer": r"transformer_blocks\.\d\.(attn2?\.(to_[qkv]|to_out\.0)|ff\.net\.2)$|attn\.add_k_proj$",
        "text_encoder": r"self_attn\.k_proj$",
        "text_encoder_2": r"self_attn\.v_proj$",
    },
    "dev": {
        "transformer": r"attn\.(to_[qkv]|to_out\.0|add_q_proj|to_add_out)$|ff_context\.net\.0\.proj$|proj_mlp$",
        "text_encoder": r"self_attn\.q_proj$",
    },
}
KOHYA = {
    "unet": "lora_unet_",
    "transformer": "lora_transformer_",
    "text_encoder": "lora_te1_",
    "text_encoder_2": "lora_te2_",
}


def matrices(kind, pipeline) -> dict[tuple[str, str], tuple[torch.Tensor, torch.Tensor]]:
    """{(network, layer): (down, up)} of rank 4 for the layers of a pipeline."""
    generator, found = torch.Generator().manual_seed(7), {}
    for network, pattern in LAYERS[kind].items():
        for name, module in getattr(pipeline, network).named_modules():
            if re.search(pattern, name) and hasattr(module, "weight"):
                rows, columns, *kernel = module.weight.shape
                down = torch.randn(4, columns, *kernel, generator=generator) * 0.3
                up = torch.randn(rows, 4, *[1] * len(kernel), generator=generator) * 0.3
                if network.startswith("text"):
                    name = name if name.startswith("text_model.") else f"text_model.{name}"
                found[network, name] = down, up
    assert {network for network, _ in found} == set(LAYERS[kind])
    return found


def written(found, naming: str) -> dict[str, torch.Tensor]:
    """The tensors of a LoRA file in this naming; kohya's have an alpha of half the rank."""
    tensors = {}
    for (network, name), (down, up) in found.items():
        if naming == "diffusers":
            tensors[f"{network}.{name}.lora_A.weight"], tensors[f"{network}.{name}.lora_B.weight"] = down, up / 2
        elif naming == "peft":
            layer = f"{network}.base_model.model.{name}"
            tensors[f"{layer}.lora_A.weight"], tensors[f"{layer}.lora_B.weight"] = down, up / 2
        else:
            layer = KOHYA[network] + name.replace(".", "_")
            tensors[f"{layer}.lora_down.weight"], tensors[f"{layer}.lora_up.weight"] = down, up
            tensors[f"{layer}.alpha"] = torch.tensor(2.0)
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


@pytest.fixture
def pair(both):
    """Name of a kind -> (diffusers' pipeline, our model); afterwards both have their own weights again."""
    used = {}

    def get(kind):
        pipeline, model = both(kind)
        if kind not in used:
            used[kind] = {name: deepcopy(getattr(pipeline, name).state_dict()) for name in LAYERS[kind]}, model
        return pipeline, model

    yield get
    for kind, (weights, model) in used.items():
        model.set_loras([])
        for name, state in weights.items():
            getattr(both(kind)[0], name).load_state_dict(state)


DOWN = re.compile(r"(unet|transformer|text_encoder_2|text_encoder)\.(.+?)(\.lora_A|\.lora\.down|_lora\.down)\.weight")
UPS = {"lora_A": "lora_B", "lora.down": "lora.up", "_lora.down": "_lora.up"}


@torch.no_grad()
def merged(pipeline, kind, path) -> None:
    """Add a LoRA to a pipeline, as diffusers' `lora_state_dict` reads the file; its own merging needs PEFT."""
    options = {"unet_config": pipeline.unet.config} if kind == "sdxl" else {}
    read = pipeline.lora_state_dict(path, **options)
    state, alphas = read if isinstance(read, tuple) else (read, {})
    count = 0
    for key, down in state.items():
        found = DOWN.fullmatch(key)
        if found is None:
            continue
        network, layer = getattr(pipeline, found[1]), found[2].replace(".processor", "")
        for old, new in lora_keys.OLD_TEXT.items() if found[1] != "unet" else ():
            layer = re.sub(f"self_attn.{old}$", f"self_attn.{new}", layer)
        modules = dict(network.named_modules())
        module = modules[layer if layer in modules else layer.removeprefix("text_model.")]
        weight = (module[0] if isinstance(module, torch.nn.ModuleList) else module).weight
        up = state[key.replace(found[3].lstrip("."), UPS[found[3].lstrip(".")])]
        alphas = alphas or {}
        alpha = alphas.get(f"{key}.alpha", alphas.get(f"{found[1]}.{found[2]}.alpha", len(down)))
        scale = alpha / len(down)
        weight += scale * (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
        count += 1
    assert count == len(state) // 2 > 10


def scale(model) -> float:
    return 3.5 if model.embeds_guidance("base") else 2.0


def walked(kind, model):
    """Our latents in the form in which diffusers' pipeline returns them."""
    latents = tiny.walked(model, "base", scale(model), 0.6, 1, 5)
    return flux.packed(latents) if kind == "dev" else latents


@pytest.mark.parametrize("naming", ["diffusers", "kohya", "peft"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_lora_does_what_it_does_in_diffusers(pair, tmp_path, kind, naming):
    """diffusers reads its own naming, and kohya's of Stable Diffusion XL; the others say the same to us."""
    pipeline, model = pair(kind)
    found = matrices(kind, pipeline)
    for name in ("diffusers", naming):
        save_file(written(found, name), tmp_path / f"{name}.safetensors")
    known = naming if kind == "sdxl" and naming == "kohya" else "diffusers"
    before = walked(kind, model)
    merged(pipeline, kind, tmp_path / f"{known}.safetensors")
    model.set_loras([str(tmp_path / f"{naming}.safetensors")])
    ours, theirs = walked(kind, model), tiny.reference(pipeline, model, scale(model), 0.6, 1, 5)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert (ours - before).abs().max() > 0.01
    model.set_loras([])
    assert torch.equal(walked(kind, model), before)


ORIGINAL = {  # {kind: {a layer of the original program: ours, in the order of its rows}}
    "dev": {
        "double_blocks.0.img_attn.qkv": [f"transformer_blocks.0.attn.to_{k}" for k in "qkv"],
        "double_blocks.0.txt_attn.qkv": [f"transformer_blocks.0.attn.add_{k}_proj" for k in "qkv"],
        "double_blocks.0.img_attn.proj": ["transformer_blocks.0.attn.to_out.0"],
        "double_blocks.0.txt_mlp.2": ["transformer_blocks.0.ff_context.net.2"],
        "double_blocks.0.img_mod.lin": ["transformer_blocks.0.norm1.linear"],
        "single_blocks.0.linear1": [
            *(f"single_transformer_blocks.0.attn.to_{k}" for k in "qkv"),
            "single_transformer_blocks.0.proj_mlp",
        ],
        "single_blocks.0.linear2": ["single_transformer_blocks.0.proj_out"],
        "single_blocks.0.modulation.lin": ["single_transformer_blocks.0.norm.linear"],
        "final_layer.linear": ["proj_out"],
        "img_in": ["x_embedder"],
    },
    "sd3": {
        "joint_blocks.0.x_block.attn.qkv": [f"transformer_blocks.0.attn.to_{k}" for k in "qkv"],
        "joint_blocks.0.x_block.attn2.qkv": [f"transformer_blocks.0.attn2.to_{k}" for k in "qkv"],
        "joint_blocks.1.context_block.attn.qkv": [f"transformer_blocks.1.attn.add_{k}_proj" for k in "qkv"],
        "joint_blocks.0.context_block.mlp.fc1": ["transformer_blocks.0.ff_context.net.0.proj"],
        "joint_blocks.0.x_block.adaLN_modulation.1": ["transformer_blocks.0.norm1.linear"],
    },
}
SWAPPED = {  # modulations by (shift, scale) there, by (scale, shift) here
    "dev": ("final_layer.adaLN_modulation.1", "norm_out.linear"),
    "sd3": ("joint_blocks.1.context_block.adaLN_modulation.1", "transformer_blocks.1.norm1_context.linear"),
}


@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
@pytest.mark.parametrize("naming", ["diffusion_model.{}", "lora_unet_{}"])
@pytest.mark.parametrize("kind", ORIGINAL)
def test_the_originals_layers_are_one_or_several_of_ours(pair, tmp_path, kind, naming, dora):
    """Theirs may hold queries, keys and values in one layer; what is added is the same, row by row."""
    pipeline, model = pair(kind)
    plain = pipeline.transformer.state_dict()
    tensors, expected, generator = {}, {}, torch.Generator().manual_seed(1)
    for theirs, parts in [*ORIGINAL[kind].items(), (SWAPPED[kind][0], [SWAPPED[kind][1]])]:
        weight = torch.cat([plain[f"{part}.weight"] for part in parts])
        swap = theirs == SWAPPED[kind][0]
        weight = weight.roll(len(weight) // 2, 0) if swap else weight
        rows, columns = weight.shape
        up, down = torch.randn(rows, 4, generator=generator), torch.randn(4, columns, generator=generator)
        layer = naming.format(theirs.replace(".", "_") if naming.startswith("lora") else theirs)
        tensors |= {f"{layer}.lora_up.weight": up, f"{layer}.lora_down.weight": down}
        new = weight + up @ down
        if dora:
            tensors[f"{layer}.dora_scale"] = torch.linspace(0.5, 2, rows)[:, None]
            new = new / new.norm(dim=1, keepdim=True) * tensors[f"{layer}.dora_scale"]
        new = new.roll(rows // 2, 0) if swap else new
        for part, value in zip(parts, new.split([len(plain[f"{part}.weight"]) for part in parts]), strict=True):
            expected[f"{part}.weight"] = value
    save_file(tensors, tmp_path / "a.safetensors")
    model.set_loras([str(tmp_path / "a.safetensors")])
    model.unet("base")
    for name, value in model.unets["base"].state_dict().items():
        torch.testing.assert_close(value, expected.get(name, plain[name]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "layer", "words"),
    [
        ("dev", "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k", r"Stable Diffusion 1\.x.*FLUX\.1"),
        ("dev", "transformer.joint_blocks.0.x_block.attn.proj", r"made for Stable Diffusion 3, and this is FLUX\.1"),
        ("sd3", "diffusion_model.single_blocks.0.linear2", r"made for FLUX\.1, and this is Stable Diffusion 3"),
        ("sdxl", "transformer.transformer_blocks.0.attn.to_q", "made for a transformer such as FLUX"),
        ("sdxl", "lora_unet_double_blocks_0_img_attn_proj", r"made for FLUX\.1"),
        ("dev", "lora_te2_text_model_encoder_layers_0_mlp_fc1", "made for a model with other text encoders"),
        ("sd3", "transformer.transformer_blocks.9.attn.to_q", "does not fit this model: the layer"),
    ],
)
def test_a_lora_of_another_family_is_named(both, tmp_path, kind, layer, words):
    down, up = ("lora_A", "lora_B") if "." in layer else ("lora_down", "lora_up")
    tensors = {f"{layer}.{down}.weight": torch.zeros(4, 768), f"{layer}.{up}.weight": torch.zeros(32, 4)}
    save_file(tensors, tmp_path / "odd.safetensors")
    model = both(kind)[1]
    model.unet("base")
    with pytest.raises(ModelError, match=words) as error:
        model.set_loras([str(tmp_path / "odd.safetensors")])
    assert error.value.advice and model.loras == []


def test_a_lora_may_change_t5(pair, tmp_path):
    model = pair("dev")[1]
    key = "encoder.block.0.layer.0.SelfAttention.q"
    layer = "lora_te3_" + key.replace(".", "_")
    save_file({f"{layer}.diff": torch.ones(32, 32)}, tmp_path / "a.safetensors")
    plain, words = model.texts[1].encoder.get_submodule(key).weight.clone(), model.embed(["a cat"])
    model.set_loras([str(tmp_path / "a.safetensors")])
    torch.testing.assert_close(model.texts[1].encoder.get_submodule(key).weight, plain + 1)
    assert not torch.equal(model.embed(["a cat"])[0], words[0])


def test_a_learned_word_of_both_encoders_is_diffusers_own(made, tmp_path):
    pipeline, folder = made("sdxl")
    own = type(pipeline).from_pretrained(folder)
    generator = torch.Generator().manual_seed(3)
    vectors = {part: torch.randn(2, 32, generator=generator) for part in ("clip_l", "clip_g")}
    path = tmp_path / "zzmine.safetensors"
    save_file(vectors, path)
    for part, text in (("clip_l", ""), ("clip_g", "_2")):
        encoder, tokenizer = getattr(own, f"text_encoder{text}"), getattr(own, f"tokenizer{text}")
        own.load_textual_inversion(vectors[part], token="zzmine", text_encoder=encoder, tokenizer=tokenizer)
    model = inpaint.load(str(folder), dtype="float32", device="cpu", embeddings=[str(path)]).model
    prompts = "a photo of zzmine on a wall", "rain"
    text, none, pooled, pooled_none = own.encode_prompt(prompts[0], negative_prompt=prompts[1], device="cpu")
    ours = model.embed([prompts[1], prompts[0]])
    torch.testing.assert_close(ours[0], torch.cat([none, text]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours[1], torch.cat([pooled_none, pooled]), atol=1e-5, rtol=1e-4)
    plain = inpaint.load(str(folder), dtype="float32", device="cpu").model.embed([prompts[1], prompts[0]])
    assert (plain[0][1] - ours[0][1]).abs().max() > 0.01


def test_a_learned_word_of_another_family_is_named(made, tmp_path):
    one, two, odd = (tmp_path / f"{name}.safetensors" for name in ("one", "two", "odd"))
    save_file({"emb_params": torch.zeros(2, 768)}, one)
    save_file({"clip_l": torch.zeros(2, 32), "clip_g": torch.zeros(2, 32)}, two)
    save_file({"clip_l": torch.zeros(2, 32), "clip_g": torch.zeros(3, 32)}, odd)
    for kind, path, words in (
        ("sdxl", one, r"made for Stable Diffusion 1\.x"),
        ("sdxl", odd, "another number of vectors"),
        ("dev", two, "takes no textual-inversion"),
    ):
        with pytest.raises(ModelError, match=words) as error:
            inpaint.load(str(made(kind)[1]), embeddings=[str(path)])
        assert error.value.advice


def test_an_emulated_device_gives_the_cpus_pictures(made, tmp_path):
    layer = "single_transformer_blocks.0.attn.to_q"
    save_file(
        {f"transformer.{layer}.lora_{k}.weight": torch.ones(n) / 9 for k, n in (("A", (4, 32)), ("B", (32, 4)))},
        tmp_path / "a.safetensors",
    )
    options = {"dtype": "float32", "loras": [str(tmp_path / "a.safetensors")]}
    request, folder = request_of(method="base", count=2), str(made("dev")[1])
    expected = inpaint.load(folder, device="cpu", **options)(request)
    assert expected.image.tobytes() != inpaint.load(folder, device="cpu", dtype="float32")(request).image.tobytes()
    with Emulated("cuda"):
        assert_same(inpaint.load(folder, device="cuda", memory="offload", **options)(request), expected)
