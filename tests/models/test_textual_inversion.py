"""Check learned words in every form of file, read as diffusers does, beside ordinary words and weights."""

import shutil

import pytest
import torch
from safetensors.torch import save_file

from inpaint import ModelError
from inpaint.models import textual_inversion
from inpaint.models.loading import find, load
from inpaint.models.single_file import SingleFile
from tests.conftest import GOLDEN

LDM, CONFIG = GOLDEN / "model_ldm" / "tiny_sd_v1.safetensors", GOLDEN / "model_diffusers"


def vectors(n, seed=0, width=32):
    return 0.1 * torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def tiny(*embeddings, **options):
    return load(str(LDM), config=str(CONFIG), dtype="float32", embeddings=embeddings, **options)


@pytest.fixture
def toy(tmp_path):
    """A word of three vectors, as its own program saves it."""
    save_file({"emb_params": vectors(3)}, tmp_path / "cat-toy.safetensors")
    return str(tmp_path / "cat-toy.safetensors")


def forms(folder):
    """The same word in every form of file."""
    word = vectors(3)
    save_file({"emb_params": word}, folder / "w1.safetensors")
    save_file({"<a>": word}, folder / "w2.safetensors")
    torch.save({"<a>": word}, folder / "w3.bin")
    first = {"string_to_token": {"*": 265}, "string_to_param": {"*": word.requires_grad_()}, "name": "a", "step": 5}
    torch.save(first, folder / "w4.pt")
    (folder / "w5").mkdir()
    save_file({"<a>": word.detach()}, folder / "w5" / "learned_embeds.safetensors")
    return [folder / name for name in ("w1.safetensors", "w2.safetensors", "w3.bin", "w4.pt", "w5")]


def test_every_form_of_file_is_the_same_word(tmp_path):
    wanted = None
    for path in forms(tmp_path):
        model = tiny(str(path), allow_pickle=True)
        text = model.embed([f"a photo of {path.stem}, red"])
        wanted = text if wanted is None else wanted
        assert torch.equal(text, wanted)
        assert torch.equal(text, model.embed([f"a photo of embedding:{path.stem}, red"])) and not model.notes
    assert torch.equal(tiny(f"w9={tmp_path / 'w1.safetensors'}").embed(["a photo of W9, red"]), wanted)
    assert torch.equal(tiny(str(tmp_path / "w2.safetensors")).embed(["a photo of <a>, red"]), wanted)


def test_diffusers_reads_the_same(toy):
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    source = SingleFile(LDM, CONFIG)
    pipe = StableDiffusionPipeline(
        source.vae(torch.float32),
        source.text_encoder(torch.float32),
        source.tokenizer(),
        source.unet("base", torch.float32),
        DDIMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.load_textual_inversion(toy, token="<toy>")
    theirs, _ = pipe.encode_prompt("a <toy> in red", "cpu", 1, False)
    torch.testing.assert_close(tiny(f"<toy>={toy}").embed(["a <toy> in red"]), theirs, rtol=1e-5, atol=1e-5)


def test_a_word_stands_beside_others_with_a_weight_and_is_not_cut(toy, tmp_path):
    save_file({"emb_params": vectors(2, 1)}, tmp_path / "cat.safetensors")
    model = tiny(toy, str(tmp_path / "cat.safetensors"))
    count = model.text.count
    assert count("cat-toy") == 3 and count("cat") == 2 and count("cat-toy cat") == 5 and count("(cat-toy:1.3)") == 3
    plain = tiny().text.count
    assert count("cats") == plain("cats") and count("a_cat") == plain("a_cat")  # whole words only
    assert count("embedding:cat-toy.safetensors") == 3 and count("CAT-TOY") == 3
    strong, plain = model.embed(["(cat-toy:1.5)"]), model.embed(["cat-toy"])
    assert not torch.equal(strong, plain) and strong.shape == plain.shape == (1, 77, 32)
    filler = "a " * (model.text.length - 2)
    whole = model.embed([filler + "cat-toy"])
    torch.testing.assert_close(whole[:, 77:], plain)


def test_words_stay_when_loras_come_and_go(toy, tmp_path):
    model, plain = tiny(toy), tiny()
    text, name = model.embed(["cat-toy"]), model.fingerprint
    assert name != plain.fingerprint and not torch.equal(text, plain.embed(["cat-toy"]))
    save_file({"lora_te_text_model_encoder_layers_0_mlp_fc1.diff": torch.ones(64, 32)}, tmp_path / "l.safetensors")
    model.set_loras([str(tmp_path / "l.safetensors")])
    assert not torch.equal(model.embed(["cat-toy"]), text)
    model.set_loras([])
    assert torch.equal(model.embed(["cat-toy"]), text) and model.fingerprint == name


@pytest.mark.parametrize(
    ("saved", "words"),
    [
        ({"emb_params": torch.zeros(2, 768)}, r"odd is made for Stable Diffusion 1\.x, and this is a model"),
        ({"clip_l": torch.zeros(2, 768), "clip_g": torch.zeros(2, 1280)}, "Stable Diffusion XL"),
        ({"emb_params": torch.full((2, 32), torch.nan)}, "invalid values"),
        ({"emb_params": torch.zeros(2, 32, dtype=torch.int64)}, "holds no textual-inversion"),
        ({"emb_params": torch.zeros(2, 3, 32)}, "holds no textual-inversion"),
        ({"emb_params": torch.zeros(0, 32)}, "holds no textual-inversion"),
        ({"emb_params": torch.zeros(76, 32)}, "holds no textual-inversion"),
        ({"unet.conv_in.lora_A.weight": torch.zeros(2, 32)}, "holds no textual-inversion"),
    ],
)
def test_what_is_no_embedding_for_this_model(saved, words, tmp_path):
    save_file(saved, tmp_path / "odd.safetensors")
    with pytest.raises(ModelError, match=words) as error:
        find(str(LDM), config=str(CONFIG), embeddings=[str(tmp_path / "odd.safetensors")])
    assert error.value.advice


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    torch.save({"a": vectors(1)}, tmp_path / "a.pt")
    for path, words in (
        ("nowhere.safetensors", "no embedding file"),
        (tmp_path, "no embedding file"),
        (tmp_path / "broken.safetensors", "not a safetensors file"),
        (tmp_path / "a.pt", "is a pickle"),
    ):
        with pytest.raises(ModelError, match=words):
            textual_inversion.read(path)


def test_a_path_with_an_equals_sign_is_a_path(tmp_path):
    save_file({"emb_params": vectors(1)}, tmp_path / "a=b.safetensors")
    assert textual_inversion.read(tmp_path / "a=b.safetensors")[0].names == ("a=b",)
    shutil.move(tmp_path / "a=b.safetensors", tmp_path / "c.safetensors")
    assert textual_inversion.read(f"a={tmp_path / 'c.safetensors'}")[0].names == ("a",)
