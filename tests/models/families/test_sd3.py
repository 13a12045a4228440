"""Compare Stable Diffusion 3 with diffusers' pipeline, with and without T5."""

import pytest
import torch

import inpaint
from tests.models.families import tiny

pytestmark = pytest.mark.filterwarnings("ignore")  # the pipeline warns about its own configuration


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("w", [1.0, 5.0])
def test_equal_to_diffusers(both, w, strength, count):
    pipeline, model = both("sd3")
    assert model.methods == ("base",) and model.grid == 16
    reference = tiny.reference(pipeline, model, w, strength, count, 5)
    ours = tiny.walked(model, "base", w, strength, count, 5)
    torch.testing.assert_close(ours, reference, atol=2e-4, rtol=1e-4)


def test_without_t5_its_words_are_zeros(tmp_path):
    pipeline = tiny.sd3(with_t5=False)
    model = inpaint.load(str(tiny.saved(pipeline, tmp_path)), dtype="float32", device="cpu").model
    theirs, none, pooled, pooled_none = pipeline.encode_prompt(
        tiny.PROMPT, tiny.PROMPT, tiny.PROMPT, negative_prompt=tiny.NEGATIVE, device="cpu"
    )
    text = model.embed([tiny.NEGATIVE, tiny.PROMPT])
    torch.testing.assert_close(text[0], torch.cat([none, theirs]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(text[1], torch.cat([pooled_none, pooled]), atol=1e-5, rtol=1e-5)
