"""Compare every kind of adapter, on every kind of layer, with its formula written out in another way."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from inpaint.models import lora, lora_merge
from inpaint.models.single_file import SingleFile
from tests.conftest import GOLDEN

STRENGTH, ALPHA = 0.7, 2.5
NETWORKS = {
    "unet": lambda source: source.unet("base", torch.float32),
    "text_encoder": lambda source: source.text_encoder(torch.float32),
}


def network(part):
    source = SingleFile(GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors", GOLDEN / "model_diffusers")
    return NETWORKS[part](source).requires_grad_(False)


def layers(part):
    """Return one layer of each kind: {dotted name: module}."""
    kinds = {}
    for name, module in network(part).named_modules():
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
            kinds.setdefault((name.rpartition(".")[2], module.weight.shape[2:]), (name, module))
    return dict(kinds.values())


LAYERS = {part: layers(part) for part in NETWORKS}


def draw(*shape, seed=[0]):  # noqa: B006  a count of the draws
    seed[0] += 1
    return 0.3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed[0]))


def plain(weight, rank=4):
    """LoRA and LoCon: a convolution of its own size to `rank` channels, then one of size 1."""
    down, up = draw(rank, *weight.shape[1:]), draw(len(weight), rank, *[1] * (weight.ndim - 2))
    delta = (up.flatten(1).double() @ down.flatten(1).double()).float().reshape(weight.shape)
    return {"lora_down.weight": down, "lora_up.weight": up}, ALPHA / rank * delta


def core(weight, rank=3):
    """LoCon with a mid weight, as the convolution of an impulse by its three layers one after the other."""
    if weight.ndim == 2 or weight.shape[-1] == 1:
        return plain(weight, rank)
    o, i, k, _ = weight.shape
    down, mid, up = draw(rank, i, 1, 1), draw(rank, rank, k, k), draw(o, rank, 1, 1)
    impulse = torch.eye(i)[:, :, None, None] * F.pad(torch.ones(1, 1, 1, 1), [k - 1] * 4)
    seen = F.conv2d(F.conv2d(F.conv2d(impulse, down), mid), up)  # [i, o, k, k], turned by half
    return {"lora_down.weight": down, "lora_mid.weight": mid, "lora_up.weight": up}, ALPHA / rank * seen.flip(
        2, 3
    ).transpose(0, 1)


def loha(weight, rank=3):
    o, rest = len(weight), weight[0].numel()
    a, b, c, d = draw(o, rank), draw(rank, rest), draw(o, rank), draw(rank, rest)
    delta = sum(torch.outer(a[:, m] * c[:, n], b[m] * d[n]) for m in range(rank) for n in range(rank))
    return {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d}, ALPHA / rank * delta.reshape(
        weight.shape
    )


def loha_core(weight, rank=2):
    if weight.ndim == 2 or weight.shape[-1] == 1:
        return loha(weight, rank)
    o, i, k, _ = weight.shape
    pieces = {"hada_t1": draw(rank, rank, k, k), "hada_t2": draw(rank, rank, k, k)}
    pieces |= {f"hada_w{n}_{side}": draw(rank, size) for n in (1, 2) for side, size in (("a", o), ("b", i))}
    halves = [
        sum(
            torch.outer(pieces[f"hada_w{n}_a"][m], pieces[f"hada_w{n}_b"][q])[..., None, None]
            * pieces[f"hada_t{n}"][m, q]
            for m in range(rank)
            for q in range(rank)
        )
        for n in (1, 2)
    ]
    return pieces, ALPHA / rank * halves[0] * halves[1]


def lokr(weight, rank=2, both=False, whole=False, mid=False):
    """Kronecker's product of a small matrix with a large one, by numpy; a k × k kernel belongs to the large one."""
    o, i = weight.shape[:2]
    small = (4, 2) if i % 2 == 0 else (1, 1)
    if o % small[0]:
        small = (1, small[1])
    large = (o // small[0], i // small[1], *weight.shape[2:])
    pieces = (
        {"lokr_w1_a": draw(small[0], rank), "lokr_w1_b": draw(rank, small[1])} if both else {"lokr_w1": draw(*small)}
    )
    w1 = pieces["lokr_w1_a"] @ pieces["lokr_w1_b"] if both else pieces["lokr_w1"]
    if whole:
        pieces["lokr_w2"] = w2 = draw(*large)
    elif mid and weight.ndim == 4 and weight.shape[-1] > 1:
        t, a, b = draw(rank, rank, *large[2:]), draw(rank, large[0]), draw(rank, large[1])
        pieces |= {"lokr_t2": t, "lokr_w2_a": a, "lokr_w2_b": b}
        w2 = sum(torch.outer(a[m], b[q])[..., None, None] * t[m, q] for m in range(rank) for q in range(rank))
    else:
        pieces |= {"lokr_w2_a": draw(large[0], rank), "lokr_w2_b": draw(rank, math.prod(large[1:]))}
        w2 = (pieces["lokr_w2_a"] @ pieces["lokr_w2_b"]).reshape(large)
    kernel = np.kron(w1.reshape(*small, *[1] * (weight.ndim - 2)).numpy(), w2.numpy())
    scale = 1.0 if whole and not both else ALPHA / rank  # nothing is divided: alpha means nothing
    return pieces, scale * torch.from_numpy(kernel)


def dora(weight, along=0):
    """The direction of W + ΔW, row by row or column by column, at the learned length."""
    pieces, delta = plain(weight)
    rows = (weight + delta).transpose(0, along)
    lengths = torch.stack([row.norm() for row in rows])
    learned = lengths * torch.linspace(0.5, 1.5, len(lengths))
    new = torch.stack([row / length * wanted for row, length, wanted in zip(rows, lengths, learned, strict=True)])
    shape = [1] * weight.ndim
    shape[along] = -1
    return pieces | {"dora_scale": learned.reshape(shape)}, new.transpose(0, along) - weight


def ia3(weight, on_input):
    """W x scaled at its outputs, or x before it."""
    learned = draw(weight.shape[int(on_input)])
    shape = [1] * weight.ndim
    shape[int(on_input)] = -1
    return {"weight": learned, "on_input": torch.tensor(int(on_input))}, weight * learned.reshape(shape)


def whole(weight):
    pieces = {"diff": draw(*weight.shape)}
    return pieces, pieces["diff"]


KINDS = {
    "LoRA": plain,
    "LoCon with a core": core,
    "LoHa": loha,
    "LoHa with a core": loha_core,
    "LoKr": lokr,
    "LoKr, both divided": lambda weight: lokr(weight, both=True),
    "LoKr, undivided": lambda weight: lokr(weight, whole=True),
    "LoKr, one divided": lambda weight: lokr(weight, both=True, whole=True),
    "LoKr with a core": lambda weight: lokr(weight, mid=True),
    "DoRA": dora,
    "DoRA along the inputs": lambda weight: dora(weight, along=1),
    "IA3 at the outputs": lambda weight: ia3(weight, False),
    "IA3 at the inputs": lambda weight: ia3(weight, True),
    "full difference": whole,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_adapter_on_every_kind_of_layer(kind, tmp_path):
    saved, wanted = {}, {}
    for part, prefix in (("unet", "lora_unet_"), ("text_encoder", "lora_te_text_model_")):
        for name, module in LAYERS[part].items():
            pieces, delta = KINDS[kind](module.weight)
            flat = prefix + name.removeprefix("text_model.").replace(".", "_")
            saved |= {f"{flat}.{piece}": value.contiguous() for piece, value in pieces.items()}
            if not {"on_input", "diff"} & pieces.keys():
                saved[f"{flat}.alpha"] = torch.tensor(ALPHA)
            wanted[part, name] = module.weight + STRENGTH * delta
    save_file(saved, tmp_path / "a.safetensors")
    found = lora.read((tmp_path / "a.safetensors", STRENGTH))
    for part in NETWORKS:
        merged = dict(lora_merge.merge(network(part), part, [found]).named_modules())
        names = LAYERS[part].keys()
        assert len(names) == (6 if part == "text_encoder" else 17)
        for name, module in network(part).named_modules():
            if name in names:
                torch.testing.assert_close(merged[name].weight, wanted[part, name], rtol=1e-4, atol=1e-5)
            elif getattr(module, "weight", None) is not None:
                assert torch.equal(merged[name].weight, module.weight)


def test_a_merged_layer_does_what_layer_and_adapter_do_side_by_side(tmp_path):
    """A LoCon beside a 3 × 3 convolution, run as its trainer runs it, stride and all."""
    module = LAYERS["unet"]["down_blocks.0.downsamplers.0.conv"]
    pieces, _ = core(module.weight)
    save_file(
        {f"lora_unet_down_blocks_0_downsamplers_0_conv.{k}": v for k, v in pieces.items()}, tmp_path / "a.safetensors"
    )
    merged = lora_merge.merge(network("unet"), "unet", [lora.read(tmp_path / "a.safetensors")])
    x = draw(1, module.in_channels, 8, 8)
    beside = F.conv2d(x, pieces["lora_down.weight"])
    beside = F.conv2d(beside, pieces["lora_mid.weight"], stride=module.stride, padding=module.padding)
    torch.testing.assert_close(
        merged.down_blocks[0].downsamplers[0].conv(x),
        module(x) + F.conv2d(beside, pieces["lora_up.weight"]),
        rtol=1e-4,
        atol=1e-4,
    )


def test_biases_and_norms_move_too(tmp_path):
    net = network("unet")
    conv, norm = "conv_in", "down_blocks.0.resnets.0.norm1"
    shift, grow, lift = draw(32), draw(32), draw(32)
    save_file(
        {
            "lora_unet_conv_in.diff_b": shift,
            "lora_unet_down_blocks_0_resnets_0_norm1.w_norm": grow,
            "lora_unet_down_blocks_0_resnets_0_norm1.b_norm": lift,
        },
        tmp_path / "a.safetensors",
    )
    merged = dict(
        lora_merge.merge(network("unet"), "unet", [lora.read((tmp_path / "a.safetensors", 0.5))]).named_modules()
    )
    before = dict(net.named_modules())
    for name, part, moved in ((conv, "bias", shift), (norm, "weight", grow), (norm, "bias", lift)):
        torch.testing.assert_close(getattr(merged[name], part), getattr(before[name], part) + 0.5 * moved)


Q, K = (
    "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
    "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_k",
)


def peft(path, config, prefix, rank=16):
    """Save a LoRA on Q and K, as PEFT does with a prefix and a file beside it, or as diffusers; {name: up @ down}."""
    saved, products = {}, {}
    for name in (Q, K):
        down, up = draw(rank, 32), draw(32, rank)
        saved |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
        products[name] = up @ down
    path.mkdir()
    if prefix:
        save_file({f"{prefix}{key}": value for key, value in saved.items()}, path / "adapter_model.safetensors")
        (path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": rank, **config}))
    else:
        notes = json.dumps({f"unet.{key}": value for key, value in {"r": rank, **config}.items()})
        save_file(
            {f"unet.{key}": value for key, value in saved.items()},
            path / "pytorch_lora_weights.safetensors",
            metadata={"lora_adapter_metadata": notes},
        )
    return products


@pytest.mark.parametrize("prefix", ["base_model.model.", "unet.base_model.model.", ""])
@pytest.mark.parametrize(
    ("config", "scales"),
    [
        ({"lora_alpha": 16}, (1, 1)),
        ({"lora_alpha": 16, "use_rslora": True}, (4, 4)),
        ({"lora_alpha": 16, "alpha_pattern": {"attn1.to_q": 4}}, (0.25, 1)),
        ({"lora_alpha": 16, "alpha_pattern": {".*to_k": 8}, "use_rslora": True}, (4, 2)),
        ({"lora_alpha": 16, "alpha_pattern": {"o_q": 4}}, (1, 1)),  # no whole word of the name
    ],
)
def test_pefts_configuration_is_followed(config, scales, prefix, tmp_path):
    products = peft(tmp_path / "a", config, prefix)
    merged = dict(lora_merge.merge(network("unet"), "unet", [lora.read(tmp_path / "a")]).named_modules())
    before = dict(network("unet").named_modules())
    for (name, product), scale in zip(products.items(), scales, strict=True):
        torch.testing.assert_close(merged[name].weight, before[name].weight + scale * product)


def test_pefts_dora_ia3_and_biases(tmp_path):
    start, conv, out = "base_model.model.", "down_blocks.0.resnets.0.conv1", Q.replace("to_q", "to_out.0")
    before = dict(network("unet").named_modules())
    down, up, learned, shift = draw(4, 32), draw(32, 4), 1 + draw(32).abs(), draw(32)
    inputs, outputs = 1 + draw(1, 32), 1 + draw(1, 32, 1, 1)
    saved = {
        f"{Q}.lora_A.weight": down,
        f"{Q}.lora_B.weight": up,
        f"{Q}.lora_magnitude_vector": learned,
        f"{out}.lora_A.weight": 2 * down,
        f"{out}.lora_B.weight": 2 * up,
        f"{out}.lora_B.bias": shift,
        f"{K}.ia3_l": inputs,
        f"{conv}.ia3_l": outputs,
    }
    save_file({start + key: value for key, value in saved.items()}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text('{"r": 4, "lora_alpha": 2}')
    merged = dict(lora_merge.merge(network("unet"), "unet", [lora.read(tmp_path)]).named_modules())
    turned = before[Q].weight + 0.5 * up @ down
    torch.testing.assert_close(merged[Q].weight, turned * (learned / turned.norm(dim=1))[:, None])
    torch.testing.assert_close(merged[out].weight, before[out].weight + 2 * up @ down)
    torch.testing.assert_close(merged[out].bias, before[out].bias + 0.5 * shift)
    torch.testing.assert_close(merged[K].weight, before[K].weight * inputs)
    torch.testing.assert_close(merged[conv].weight, before[conv].weight * outputs.reshape(-1, 1, 1, 1))
    torch.testing.assert_close(merged[conv].bias, before[conv].bias * outputs.flatten())


@pytest.mark.parametrize("inputs", [["conv2"], []])
def test_pefts_configuration_decides_which_side_of_a_square_convolution_ia3_scales(inputs, tmp_path):
    name, learned = "down_blocks.0.resnets.0.conv2", 1 + draw(1, 32, 1, 1)
    before = dict(network("unet").named_modules())[name].weight
    save_file({f"base_model.model.{name}.ia3_l": learned}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "IA3", "feedforward_modules": inputs}))
    merged = dict(lora_merge.merge(network("unet"), "unet", [lora.read(tmp_path)]).named_modules())[name].weight
    torch.testing.assert_close(merged, before * (learned if inputs else learned.transpose(0, 1)))
