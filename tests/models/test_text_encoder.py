"""Check the text encoder: chunks, weights, layers and hostile words, against CLIP's own numbers."""

import json
import random
import time

import pytest
import torch
from safetensors import safe_open
from transformers import CLIPTextConfig, CLIPTextModel

from inpaint import InvalidRequest
from inpaint.models import loading
from inpaint.models.prompt_weights import parse
from inpaint.models.single_file import CONFIGS
from inpaint.models.text_encoder import CACHED_CHUNKS, Text, tokenizer
from tests.conftest import GOLDEN


def small(eos=49407):
    """A small random encoder with CLIP's vocabulary."""
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        bos_token_id=49406,
        eos_token_id=eos,
        pad_token_id=49407,
    )
    return CLIPTextModel(config).eval()


@pytest.fixture(scope="module")
def clip():
    return Text(tokenizer(), small())


@pytest.fixture(scope="module")
def tiny():
    """The golden data's own tokenizer and text encoder."""
    encoder = CLIPTextModel(CLIPTextConfig.from_pretrained(GOLDEN / "model_diffusers" / "text_encoder")).eval()
    start = "cond_stage_model.transformer.text_model."
    with safe_open(GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors", "pt") as file:
        weights = {
            key.removeprefix(start): file.get_tensor(key).float()
            for key in file.keys()  # noqa: SIM118
            if key.startswith(start) and not key.endswith("position_ids")
        }
    encoder.load_state_dict(weights)
    return Text(tokenizer(GOLDEN / "model_diffusers"), encoder)


def test_the_articles_embeddings(tiny):
    with safe_open(GOLDEN / "cases" / "preproc_text.safetensors", "pt") as file:
        prompts = json.loads(file.metadata()["prompts"])
        truth = {
            key: file.get_tensor(f"text/{key}")
            for key in ("input_ids", "last", "pooled", "hidden_-2", "hidden_-2_plus_final_ln")
        }
    assert max(map(tiny.count, prompts)) > tiny.length
    ids = tiny.tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    assert torch.equal(ids, truth["input_ids"].to(ids.dtype))
    for key, how in (
        ("last", {}),
        ("pooled", {"layer": "pooled"}),
        ("hidden_-2_plus_final_ln", {"clip_skip": 1}),
        ("hidden_-2", {"clip_skip": 1, "layer": "hidden"}),
    ):
        torch.testing.assert_close(tiny.embed(prompts, chunks=1, **how), truth[key], rtol=1e-5, atol=1e-5)


def test_clips_own_numbers():
    ids = tokenizer(CONFIGS / "sd15")("a photo of a cat", padding="max_length").input_ids
    assert ids[:8] == [49406, 320, 1125, 539, 320, 2368, 49407, 49407] and len(ids) == 77
    assert tokenizer(CONFIGS / "sd2")("a photo of a cat", padding="max_length").input_ids[7:9] == [0, 0]


def test_lengths_come_from_the_model(clip):
    builtin = loading.load("builtin").text
    assert clip.length == 75
    assert builtin.length == builtin.encoder.config.max_position_embeddings - 2
    assert builtin.embed(["pizza"]).shape == (1, builtin.size, builtin.encoder.config.hidden_size)


def test_long_prompts_are_chunks_side_by_side(clip):
    prompt = " ".join(["cat"] * 75 + ["dog"] * 75 + ["fish"] * 3)
    whole = clip.embed([prompt, "a"])
    assert clip.count(prompt) == 153 and whole.shape == (2, 3 * 77, 32)
    for k, part in enumerate((["cat"] * 75, ["dog"] * 75, ["fish"] * 3)):
        torch.testing.assert_close(whole[:1, 77 * k : 77 * (k + 1)], clip.embed([" ".join(part)]))
    torch.testing.assert_close(whole[1:, 77:154], clip.embed([""]))
    assert clip.embed([prompt], chunks=1).shape == (1, 77, 32)


def test_a_word_is_not_cut(clip):
    long_word = "antidisestablishmentarianism"
    assert clip.count(long_word) > 3
    whole = clip.embed([" ".join(["cat"] * 73 + [long_word])])
    torch.testing.assert_close(whole[:, 77:], clip.embed([long_word]))


@pytest.mark.parametrize(
    ("prompt", "pieces"),
    [
        ("a cat", [("a cat", 1.0)]),
        ("a (red) cat", [("a ", 1.0), ("red", 1.1), (" cat", 1.0)]),
        ("a (red:1.3) cat", [("a ", 1.0), ("red", 1.3), (" cat", 1.0)]),
        ("((red))", [("red", 1.1 * 1.1)]),
        ("[blue]", [("blue", 1 / 1.1)]),
        ("(a [b] c:2)", [("a ", 2.0), ("b", 2 / 1.1), (" c", 2.0)]),
        (r"a \(real\) bracket", [("a (real) bracket", 1.0)]),
        ("a (b", [("a (b", 1.0)]),
        ("a ) b ]", [("a ) b ]", 1.0)]),
        ("(a:99)", [("a", 10.0)]),
        ("(a:-3)", [("a", 0.0)]),
        ("(a:1.)", [("a", 1.0)]),
        ("(a: .5 )", [("a", 0.5)]),
        ("(a:1.3000000000000000444)", [("a", 1.3)]),
        ("(a:1e400)", [("a:1e400", 1.1)]),
        ("[a:1.5]", [("a:1.5", 1 / 1.1)]),
        ("(a:1.5]", [("(a:1.5]", 1.0)]),
        ("(a:nan)", [("a:nan", 1.1)]),
        ("half past 10:30", [("half past 10:30", 1.0)]),
        ("", []),
    ],
)
def test_weights(prompt, pieces):
    found = parse(prompt)
    assert [text for text, _ in found] == [text for text, _ in pieces]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in pieces])


def test_hostile_prompts_are_only_words():
    dice = random.Random(0)
    prompts = ["(" * 50_000, "(" * 50_000 + ")" * 50_000, "(a:" * 30_000, "\\" * 99_999]
    prompts += ["[(" * 20_000 + "])" * 20_000]
    prompts += ["".join(dice.choices("()[]\\:.0129 ab🍕\u202e\0", k=200)) for _ in range(300)]
    prompts += [":" + " " * 99_999, "(a:" + "9" * 99_997, "(a:1" + " " * 99_996, "(" + "0:" * 50_000]
    began = time.process_time()
    for prompt in prompts:
        assert all(0 <= weight <= 10 and text for text, weight in parse(prompt))
    assert time.process_time() - began < 5


def test_a_weight_moves_its_word_and_one_changes_nothing(clip):
    plain = clip.embed(["a red cat"])
    assert torch.equal(clip.embed(["a (red:1.0) cat"]), plain)
    strong = clip.embed(["a (red:1.5) cat"])
    ratio = (strong / plain).median(-1).values[0]
    assert ratio[2] / ratio[1] == pytest.approx(1.5, rel=1e-4)
    assert ratio[1] == pytest.approx(float(ratio[3]), rel=1e-4)
    assert strong.norm() == pytest.approx(float(plain.norm()), rel=1e-5)


def test_clip_skip_ends_in_the_final_norm(clip):
    hidden, last = clip.embed(["cat"], clip_skip=1, layer="hidden"), clip.embed(["cat"], clip_skip=1)
    norm = getattr(clip.encoder, "text_model", clip.encoder).final_layer_norm
    torch.testing.assert_close(norm(hidden), last)
    torch.testing.assert_close(norm(clip.embed(["cat"], layer="hidden")), clip.embed(["cat"]))
    assert clip.embed(["cat", "a dog"], layer="pooled").shape == (2, 1, 32)
    with pytest.raises(InvalidRequest, match="3 layers"):
        clip.embed(["cat"], clip_skip=3)
    with pytest.raises(InvalidRequest, match="no text layer"):
        clip.embed(["cat"], layer="lats")


def test_pooled_is_the_end_token_even_if_the_config_is_wrong(clip):
    """Many published configurations say eos 2 or another id that the tokenizer never writes."""
    truth = clip.embed(["a (cat:1.0)"])[:, 3:4]
    for eos in (49407, 2, 7):
        torch.testing.assert_close(Text(clip.tokenizer, small(eos)).embed(["a cat"], layer="pooled"), truth)


def test_a_bfloat16_encoder_gives_float32(clip):
    half = Text(clip.tokenizer, small().bfloat16())
    for how in ({}, {"clip_skip": 1}, {"layer": "hidden"}, {"layer": "pooled"}):
        ours = half.embed(["a (red:1.3) cat"], **how)
        assert ours.dtype == torch.float32 and not ours.requires_grad
        torch.testing.assert_close(ours, clip.embed(["a (red:1.3) cat"], **how), rtol=0.05, atol=0.1)


def test_an_encoder_streamed_from_memory_gives_the_same(clip):
    from accelerate import cpu_offload

    streamed = small()
    cpu_offload(streamed, torch.device("cpu"))
    assert streamed.device.type == "meta"
    ours = Text(clip.tokenizer, streamed).embed(["a (red:1.3) cat", ""], clip_skip=1)
    assert torch.equal(ours, clip.embed(["a (red:1.3) cat", ""], clip_skip=1))


def test_embeddings_are_remembered_until_the_encoder_changes(clip, monkeypatch):
    calls, forward = [], clip.encoder.forward
    monkeypatch.setattr(clip.encoder, "forward", lambda *a, **k: calls.append(1) or forward(*a, **k))
    clip.forget()
    first = clip.embed(["a zebra", ""])
    assert len(calls) == 2 and torch.equal(clip.embed(["a zebra", ""]), first) and len(calls) == 2
    clip.forget()
    clip.embed(["a zebra"])
    assert len(calls) == 3
    first.zero_()  # what was handed out is the caller's own
    assert clip.embed(["a zebra"]).abs().sum() > 0 and len(calls) == 3
    clip.embed([" ".join(["owl"] * 75 + ["elk"] * k) for k in range(CACHED_CHUNKS + 9)])
    assert len(clip.cache) == CACHED_CHUNKS


@pytest.mark.parametrize(
    ("family", "millions"), [("sd15", (859.52, 83.65, 123.06)), ("sd2", (865.91, 83.65, 340.39))]
)
def test_shipped_configurations_have_the_known_sizes(family, millions):
    from diffusers import AutoencoderKL, UNet2DConditionModel

    folder = CONFIGS / family
    with torch.device("meta"):
        networks = [
            kind.from_config(kind.load_config(folder / part))
            for kind, part in ((UNet2DConditionModel, "unet"), (AutoencoderKL, "vae"))
        ]
        networks.append(CLIPTextModel(CLIPTextConfig.from_pretrained(folder / "text_encoder")))
    sizes = [sum(p.numel() for p in network.parameters()) / 1e6 for network in networks]
    assert sizes == pytest.approx(millions, abs=0.006)
