"""Check prompts in other programs' syntax: it is understood, or a note says that it is not."""

import time

import pytest
import torch

from inpaint import Request, load
from inpaint.models import loading, prompt_syntax
from tests.conftest import GOLDEN

LDM, CONFIG = GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors", GOLDEN / "model_diffusers"


@pytest.fixture(scope="module")
def tiny():
    return loading.load(str(LDM), config=str(CONFIG), dtype="float32")


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a cat <lora:Pop Art:0.8> on a roof", "“<lora:Pop Art:0.8>” is left out: load the LoRA with the model"),
        ("<lyco:x>", "“<lyco:x>” is left out: load the LoRA"),
        ("<lora:known:0.5>", "that LoRA is loaded with weight 0.8"),
        ("<hypernet:h:1>", "hypernetworks are not supported"),
        ("a [cat:dog:0.5]", "“[cat:dog:0.5]” is read as words; elsewhere it changes the prompt during the run"),
        ("a [cat::10]", "changes the prompt"),
        ("a [cat:0.25]", "changes the prompt"),
        ("a [cat|dog]", "“[cat|dog]” is read as words; elsewhere it takes turns"),
        ("a cat AND a dog", "mixes two prompts"),
        ("a {red|blue} cat", "draws a word"),
        ("a __colour__ cat", "draws a word"),
        ("embedding:badhands", "There is no embedding badhands: it is read as words"),
        ("(embedding:bad.pt:1.2)", "There is no embedding bad.pt"),
    ],
)
def test_what_is_not_understood_is_noted(prompt, words):
    (note,) = prompt_syntax.notes(prompt, ["good"], {"known": 0.8})
    assert words in note


@pytest.mark.parametrize(
    "prompt",
    ["a cat", "(red:1.3) [blue] ((x))", r"a \[cat:dog:0.5\]", "embedding:good", "Embedding:GOOD.pt",
     "<lora:known:0.8>", "10:30 and 11:15",
     "sand AND-gate", "a BREAK b", "{x}", "5 < 6 > 4", "snake__case__name", "[a]"],
)  # fmt: skip
def test_what_is_understood_or_plain_is_not(prompt):
    assert prompt_syntax.notes(prompt, ["good"], {"known": 0.8}) == []


def test_break_begins_a_new_chunk(tiny):
    size = tiny.text.size
    both = tiny.embed(["a red cat BREAK a blue dog"])
    assert both.shape[1] == 2 * size
    torch.testing.assert_close(both[:, :size], tiny.embed(["a red cat"]))
    torch.testing.assert_close(both[:, size:], tiny.embed(["a blue dog"]))
    weighted = tiny.embed(["(a red cat BREAK a blue dog:1.2)"])
    torch.testing.assert_close(weighted[:, size:], tiny.embed(["(a blue dog:1.2)"]))
    for prompt in ("BREAK a cat", "a cat BREAK", "BREAK BREAK a cat,BREAK", "a cat BREAK,"):
        assert tiny.embed([prompt]).shape[1] == size
    assert torch.equal(tiny.embed(["BREAK"]), tiny.embed([""]))
    assert tiny.text.count("a BREAKING cat") > tiny.text.count("a cat")  # a word of its own
    assert tiny.embed(["a BREAK b"], chunks=1).shape[1] == size  # the article's program knows no BREAK


def test_a_tag_is_left_out_of_the_words_with_a_note(tiny, photo):
    assert torch.equal(tiny.embed(["a cat<lora:x:1>"]), tiny.embed(["a cat"]))
    painter = load(str(LDM), config=str(CONFIG))
    result = painter(Request("a [cat:dog:0.5] <lora:x:1>", photo, negative_prompt="embedding:bad", steps=1, size=64))
    for words in ("<lora:x:1>", "[cat:dog:0.5]", "no embedding bad"):
        assert sum(words in note for note in result.report["notes"]) == 1
    again = painter(Request("a cat", photo, steps=1, size=64))
    assert not any("read as words" in note or "left out" in note for note in again.report["notes"])


def test_hostile_prompts_take_no_time():
    prompts = ["[" * 4000, "[a:" * 1300, "<lora:" * 600, "{|" * 2000, "[a|" * 1300, "__" * 2000, "embedding:" * 400,
               "[" + "0" * 3990 + ":", "BREAK" * 800, " " * 4000, "<lora:a:" + "0" * 3900]  # fmt: skip
    began = time.process_time()
    for prompt in prompts:
        prompt_syntax.notes(prompt, ["a"] * 50, {})
        prompt_syntax.BREAK.split(prompt_syntax.without_tags(prompt))
    assert time.process_time() - began < 2
