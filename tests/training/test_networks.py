"""Check the training of autoencoder, text encoder and UNets: how each starts, what it reads and learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from training import captions, checkpoint, colours, layout, portraits, stickers, text, tokenizer, unet, vae
from training.captions import Order, Thing
from training.patches import patch


def test_levelled_latents_decode_to_the_same_pictures(library, plan):
    torch.manual_seed(0)
    rough = vae.build(plan).eval()
    even = vae.build(plan).eval()
    even.load_state_dict(rough.state_dict())
    vae.level(even, library, plan)
    x = vae.pixels(np.stack([patch(np.random.default_rng(seed), library, 64) for seed in range(32)]))
    with torch.no_grad():
        one, other = (model.decode(model.encode(x).latent_dist.sample()).sample for model in (rough, even))
        z = even.encode(x).latent_dist.mode()
    assert torch.allclose(one, other, atol=1e-4)
    assert z.mean().abs() < 0.5
    assert z.std().item() == pytest.approx(1, abs=0.3)


def test_a_finished_model_is_a_start(library, trained, plan, tmp_path, unseen):
    """Its autoencoder and its 9-channel UNet are taken over, and the first lessons are not given again."""
    model, stamp = vae.load(trained)
    model.register_to_config(scaling_factor=0.7)
    model.save_pretrained(tmp_path / "model/vae")
    parent = unet.build(9, trained)
    parent.save_pretrained(tmp_path / "model/unet_inpainting")
    vae.adopt(tmp_path / "model", plan)
    unet.adopt(tmp_path / "model", plan)
    assert vae.load(plan)[1] == stamp
    assert vae.scale(plan) == 0.7
    vae.train(library, library.photos, plan)
    unet.train("first", library, library.photos, plan)
    assert vae.load(plan)[1] == stamp
    start = unet.beginning("inpaint", 9, plan)
    assert all(torch.equal(a, b) for a, b in zip(start.parameters(), parent.parameters(), strict=True))


def test_a_unet_grown_from_another_starts_as_that_one(plan):
    torch.manual_seed(0)
    base = unet.build(4, plan).eval()
    wide = unet.grown(9, base.state_dict(), plan).eval()
    x, around = torch.randn(2, 4, 8, 8), torch.randn(2, 5, 8, 8)
    words = torch.randn(2, 16, plan.text_width)
    with torch.no_grad():
        expected = base(x, 7, words).sample
        assert torch.allclose(wide(torch.cat([x, torch.zeros_like(around)], 1), 7, words).sample, expected, atol=1e-6)
        assert torch.allclose(wide(torch.cat([x, around], 1), 7, words).sample, expected, atol=1e-6)
        again = unet.grown(4, wide.state_dict(), plan).eval()
        assert torch.equal(again(x, 7, words).sample, expected)


def test_a_unet_grows_from_one_with_a_narrower_text_encoder(plan):
    narrow = unet.build(9, plan).state_dict()
    narrow = {
        name: value[:, :16] if "attn2.to_k.w" in name or "attn2.to_v.w" in name else value
        for name, value in narrow.items()
    }
    wide = unet.grown(9, narrow, plan)
    assert torch.equal(wide.conv_out.weight, narrow["conv_out.weight"])
    assert wide.mid_block.attentions[0].transformer_blocks[0].attn2.to_k.weight.shape[1] == plan.text_width


def test_a_unet_reads_nothing_but_portraits_before_and_after_training(plan, trained):
    """The numbers that are the text encoder's own change nothing."""
    weights = checkpoint.load(trained.work / "inpaint/final.pt")["unet"]
    wide = replace(plan, text_width=96)
    for model in (unet.build(9, wide), unet.grown(9, weights, wide)):
        model.eval()
        words = torch.randn(1, tokenizer.LENGTH, 96)
        other = torch.cat(
            [words[..., : portraits.NUMBERS], torch.randn(1, tokenizer.LENGTH, 96 - portraits.NUMBERS)], 2
        )
        x = torch.randn(1, 9, 8, 8)
        with torch.no_grad():
            assert torch.equal(model(x, 7, words).sample, model(x, 7, other).sample)


def test_portraits_describe_each_cell(plan):
    model = vae.build(plan).eval()
    stamp = torch.zeros(2, 4, 192, 192)
    stamp[0, :, 48:144, 48:144] = 1.0  # a white square in the middle; then nothing
    told = portraits.of(stamp, torch.tensor([True, False]), model, plan)
    assert told.shape == (2, portraits.POSITIONS, portraits.NUMBERS)
    assert torch.equal(told[1], portraits.nothing(1, plan)[0])
    opacity = told[0, :, :45].view(7, 7, 5, 3, 3)[:, :, 4]
    assert opacity[3, 3].eq(2).all()
    assert opacity[0].abs().max() < 0.01
    assert told[0, :, portraits.DRAWN].eq(1).all(), "small"
    rows, columns = told[0, :, portraits.DRAWN + 1 :].view(7, 7, 2, 7).argmax(-1).unbind(-1)
    assert rows[:, 0].tolist() == columns[0].tolist() == list(range(7))


def test_the_text_encoders_table_holds_the_same_portraits(library, plan, trained):
    model, _ = vae.load(trained)
    table = text.Portraits(library.stickers, model, trained)
    orders = [Order((Thing(0),), "red disc"), Order((Thing(0, 4),), "small blue disc", small=True), Order((), "")]
    told = table.of(orders)
    stamps = torch.zeros(1, 4, 192, 192)
    stamps[0] = colours.painted(stickers.textures(library.stickers[:1], 192) / 255.0, torch.tensor([4]))[0]
    stamps[:, :3] *= stamps[:, 3:]
    exact = portraits.of(stamps, torch.tensor([True]), model, trained)
    assert (told[1] - exact[0]).square().mean() < 0.02 * exact.var()
    assert (told[0] - exact[0]).square().mean() > (told[1] - exact[0]).square().mean()
    assert torch.equal(told[2], portraits.nothing(1, trained)[0])
    pair = table.of([Order((Thing(0), Thing(1)), "a red disc and a blue disc")])[0, :, :45].view(7, 7, 5, 3, 3)[
        :, :, 4
    ]
    assert pair[3, 1].min() > 1.5
    assert pair[3, 5].min() > 1.5
    assert pair[0].abs().max() < 0.1


def test_exact_words_stand_where_the_text_encoder_writes_them(plan):
    told = torch.randn(2, portraits.POSITIONS, portraits.NUMBERS)
    wide = replace(plan, text_width=96)
    words = portraits.words(told, wide)
    assert words.shape == (2, tokenizer.LENGTH, 96)
    assert torch.equal(words[:, -49:, :60], told)
    assert not words[:, :-49].any()
    assert not words[..., 60:].any()


def test_the_tokenizer_keeps_common_words_whole(library, plan):
    tokens = tokenizer.load(library.stickers, plan)
    assert tokens.tokenize("a red disc") == ["a</w>", "red</w>", "disc</w>"]
    assert tokenizer.encode(tokens, ["", "zebra ß 3"]).shape == (2, tokenizer.LENGTH)
    assert tokens.unk_token_id not in tokens.convert_tokens_to_ids(tokens.tokenize("ß漢 zebra"))


def test_the_tokenizer_is_the_same_each_time(library):
    texts = captions.corpus(library.stickers) + [sticker.name * 2 for sticker in library.stickers]
    first = tokenizer.train(texts, 700)
    assert all(tokenizer.train(texts, 700) == first for _ in range(5))


@pytest.mark.parametrize("kind", ["auto", "last-fused", "plain-plain"])
def test_every_layout_gives_the_same_prediction(plan, kind):
    torch.manual_seed(0)
    model = unet.build(9, plan).eval()
    x, words = torch.randn(2, 9, 8, 8), torch.randn(2, tokenizer.LENGTH, plan.text_width)
    t = torch.tensor([3, 700])
    with torch.no_grad():
        expected = model(x, t, words).sample
    laid = layout.fastest(model, lambda one: one(x, t, words).square().mean(), replace(plan, layout=kind))
    with torch.no_grad():
        assert torch.allclose(laid(x, t, words), expected, atol=1e-4)
    assert all(weight.grad is None for weight in model.parameters()), "the timing leaves nothing behind"


def test_a_compiler_that_fails_costs_nothing(plan, monkeypatch, capsys):
    model = unet.build(4, plan)
    x, words = torch.randn(2, 4, 8, 8), torch.randn(2, tokenizer.LENGTH, plan.text_width)

    def broken(*_, **__):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)
    laid = layout.fastest(model, lambda one: one(x, torch.tensor([3, 7]), words).mean(), replace(plan, compile=True))
    assert "no compiler here" in capsys.readouterr().out
    assert laid(x, torch.tensor([3, 7]), words).shape == x.shape
