"""Check our UNet: the same numbers as diffusers' own call, with less work."""

from collections import Counter

import pytest
import torch
from diffusers import UNet2DConditionModel

import inpaint
from inpaint.unet import onednn
from inpaint.unet.forward import UNet, whole
from inpaint.unet.supported import fits

KINDS = {  # what Stable Diffusion's family differs in
    "sd15": {},
    "sd2, linear projections": {
        "use_linear_projection": True,
        "attention_head_dim": (2, 4),
        "upcast_attention": True,
    },
    "two transformers a layer": {"transformer_layers_per_block": 2},
    "no attention outside": {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    },
}


def network(dtype=torch.float64, **settings):
    torch.manual_seed(0)
    settings = {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "in_channels": 9,
        "sample_size": 8,
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "attention_head_dim": 4,
        **settings,
    }
    return (
        UNet2DConditionModel(
            block_out_channels=(32, 64),
            layers_per_block=1,
            out_channels=4,
            norm_num_groups=8,
            cross_attention_dim=24,
            **settings,
        )
        .to(dtype)
        .eval()
        .requires_grad_(False)
    )


def given(batch, side=(8, 12), dtype=torch.float64, seed=1):
    dice = torch.Generator().manual_seed(seed)
    return (
        torch.randn(batch, 9, *side, generator=dice, dtype=dtype),
        torch.randn(batch, 7, 24, generator=dice, dtype=dtype),
    )


class Counted:
    """The batch sizes that reach some modules, by name."""

    def __init__(self, unet, *names):
        self.sizes = {name: [] for name in names}
        for name, module in unet.named_modules():
            for key in names:
                if name.endswith(key):
                    module.register_forward_pre_hook(lambda _, x, key=key: self.sizes[key].append(len(x[0])))


@pytest.mark.parametrize("sliced", [False, True])
@pytest.mark.parametrize("side", [(8, 12), (7, 9)])  # one that halves evenly, and one that does not
@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_it_computes_what_diffusers_computes(kind, batch, side, sliced):
    unet, (x, text) = network(**KINDS[kind]), given(batch, side)
    walk = UNet(unet, sliced)
    assert fits(unet)
    for t in (981, 501, 1):
        torch.testing.assert_close(walk(x, t, text)[0], whole(unet)(x, t, text), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("images", [1, 3])
def test_the_halves_of_guidance_share_what_comes_before_the_text(kind, images):
    unet, text = network(**KINDS[kind]), given(2 * images)[1]
    x = given(images)[0]
    wanted = whole(unet)(torch.cat([x, x]), 501, text)
    torch.testing.assert_close(whole(unet)(x, 501, text), wanted, rtol=0, atol=0)  # shown once, answered for both
    seen = Counted(unet, "conv_in", "down_blocks.1.resnets.0.conv1", "conv_out")
    torch.testing.assert_close(UNet(unet)(x, 501, text)[0], wanted, rtol=1e-10, atol=1e-10)
    deeper = images if kind == "no attention outside" else 2 * images
    assert list(seen.sizes.values()) == [[images], [deeper], [2 * images]]
    UNet(unet)(torch.cat([x, 2 * x]), 501, text)  # an image for each text
    assert seen.sizes["conv_in"] == [images, 2 * images]


def test_deep_features_and_the_outermost_layers_make_the_whole():
    unet, (x, text) = network(), given(2)
    for layers in (1, 2):
        out, deep = UNet(unet)(x, 501, text, layers)
        torch.testing.assert_close(UNet(unet).light(x, 501, text, deep, layers), out, rtol=1e-12, atol=1e-12)


def test_the_text_is_looked_at_once_a_walk_and_another_text_anew():
    unet, (x, text) = network(), given(2)
    other = given(2, seed=5)[1]
    seen, walk = Counted(unet, "attn2.to_k"), UNet(unet)
    attentions = sum(name.endswith("attn2") for name, _ in unet.named_modules())
    for t in (901, 501, 1):
        walk(x, t, text.chunk(1)[0])  # another view of the same memory
    assert len(seen.sizes["attn2.to_k"]) == attentions
    for words in (other, text, text[:1]):
        x = x[: len(words)]
        torch.testing.assert_close(walk(x, 501, words)[0], whole(unet)(x, 501, words), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lower_precision_rounds_no_more_than_diffusers(dtype):
    exact, (x, text) = network(), given(2)
    wanted = whole(exact)(x, 501, text)
    unet, x, text = network(dtype), x.to(dtype), text.to(dtype)
    ours, theirs = (
        float((found.double() - wanted).norm()) for found in (UNet(unet)(x, 501, text)[0], whole(unet)(x, 501, text))
    )
    assert ours < 1.2 * theirs


@pytest.mark.parametrize(
    "change",
    [
        {"class_embed_type": "timestep"},
        {"center_input_sample": True},
        {"act_fn": "gelu"},
        {"dual_cross_attention": True},
        {"resnet_time_scale_shift": "scale_shift"},
        {"resnet_out_scale_factor": 2.0},
        {"mid_block_scale_factor": 2.0},
        {"time_embedding_act_fn": "silu"},
        {"resnet_skip_time_act": True},
        {"only_cross_attention": True},
        {"conv_out_kernel": 1},
        {"mid_block_type": "UNetMidBlock2D"},
        {"some_key_to_come": True},
    ],
)
def test_another_kind_of_network_is_left_to_diffusers(change):
    unet = network()
    assert fits(unet)
    unet.register_to_config(**change)
    known = "some_key_to_come" not in change  # a key that the class does not know cannot change it
    assert fits(unet) is not known
    assert not fits(torch.nn.Linear(1, 1)) and not fits(lambda x: x)


def custom_processor(unet):
    from diffusers.models.attention_processor import AttnProcessor

    unet.set_attn_processor(AttnProcessor())


def added_adapter(unet):
    attention = next(module for name, module in unet.named_modules() if name.endswith("attn1"))
    attention.to_q = torch.nn.Sequential(attention.to_q)


@pytest.mark.parametrize(
    "change",
    [
        custom_processor,
        added_adapter,
        lambda unet: unet.enable_freeu(s1=0.9, s2=0.2, b1=1.5, b2=1.6),
        lambda unet: unet.fuse_qkv_projections(),
        lambda unet: unet.set_attention_slice("auto"),
        lambda unet: setattr(unet.mid_block.resnets[0], "output_scale_factor", 2.0),
    ],
)
def test_a_network_changed_after_it_was_made_is_left_to_diffusers(change):
    unet = network()
    change(unet)
    assert not fits(unet)


def test_the_shipped_and_the_recorded_networks_are_of_the_plain_kind():
    """Fails when a newer diffusers builds its blocks in another way: `supported` then has to be read again."""
    for unet in inpaint.load("builtin").model.unets.values():
        assert fits(unet)
    for kind in KINDS.values():
        assert fits(network(**kind))


def test_a_block_that_lost_what_the_walk_reads_is_left_to_diffusers():
    unet = network()
    del unet.mid_block.resnets[0].conv_shortcut
    assert not fits(unet)


@pytest.mark.skipif("not __import__('inpaint.unet.onednn').unet.onednn.is_available()", reason="needs oneDNN on x86")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_packed_convolutions_compute_the_same_at_every_size(layout):
    unet = network(torch.float32)
    wanted = [
        (x, text, whole(unet)(x, 501, text))
        for x, text in (given(n, side, torch.float32) for n in (2, 1) for side in ((8, 8), (16, 8), (7, 9), (5, 8)))
    ]
    before = Counter(type(module) for module in unet.modules())[torch.nn.Conv2d]
    names = list(unet.state_dict())
    assert list(onednn.prepack(unet).state_dict()) == names  # it can be saved as before
    packed = [module for module in unet.modules() if isinstance(module, onednn.PrepackedConv2d)]
    for x, text, own in 2 * wanted:
        torch.testing.assert_close(UNet(unet)(x.to(memory_format=layout), 501, text)[0], own, rtol=1e-4, atol=1e-5)
    assert len(packed) == before > 5 and {len(module.packed) for module in packed} == {onednn.CACHED_SHAPES}


@pytest.mark.parametrize(
    ("settings", "packs"),
    [({}, True), ({"backend": "openvino"}, False), ({"dtype": "bfloat16"}, False), ({"memory": "low"}, False)],
)
def test_small_networks_are_packed_where_torch_runs_them_whole(monkeypatch, settings, packs):
    seen = []
    monkeypatch.setattr(onednn, "prepack", lambda network: seen.append(network) or network)
    if "backend" in settings:
        monkeypatch.setattr(inpaint.unet.backend.Engine, "runner", lambda *_: print)
    model = inpaint.load("builtin", **settings).model
    model.unet("inpaint")
    assert bool(seen) is packs and set(seen) == set(model.unets.values() if packs else ())
    if packs:
        monkeypatch.setattr(inpaint.memory.device, "SMALL", 1000)
        before = len(seen)
        assert inpaint.load("builtin").model.unets and len(seen) == before


@pytest.mark.parametrize("missing", ["library", "operator"])
def test_without_onednn_or_its_private_operators_networks_stay_as_they_are(monkeypatch, missing):
    unet = network()
    if missing == "library":
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    else:
        monkeypatch.delattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
    kinds = [type(module) for module in unet.modules()]
    assert [type(module) for module in onednn.prepack(unet).modules()] == kinds
