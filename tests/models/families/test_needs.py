"""Check the memory that a model needs: counted before loading, the same as what is loaded, and what the page says."""

import re
from pathlib import Path

import pytest

import inpaint
from inpaint.memory import policy
from inpaint.models import needs
from inpaint.models.registry import FAMILIES
from inpaint.models.sources import source
from tests.models.families import originals

DOCS = (Path(__file__).parents[3] / "docs" / "models.md").read_text()


def counted(model) -> list[int]:
    """The parameters of a loaded model's networks: denoiser, VAE, text encoders."""
    model.unet(model.methods[-1])
    networks = [model.unets[model.methods[-1]], model.vae, *(text.encoder for text in model.texts)]
    weights = [
        {weight.data_ptr(): weight.numel() for weight in network.state_dict().values()} for network in networks
    ]
    return [sum(each.values()) for each in weights]  # tied ones once


@pytest.mark.parametrize("kind", ["sdxl", "sd3", "dev"])
def test_what_is_counted_is_what_is_loaded(both, made, tmp_path, kind):
    _, model = both(kind)
    (_, folder), loaded = made(kind), counted(model)
    found = needs.sizes(str(folder))
    assert list(found.values()) == loaded and len(found) == len(model.texts) + 2
    asked = needs.of(str(folder), "cpu")
    assert (asked.together, asked.largest) == (4 * sum(loaded), 4 * max(loaded)) and asked.free > 0
    if kind != "sdxl":
        for whole in (False, True):
            path = originals.saved(made(kind)[0], tmp_path / f"{whole}.safetensors", whole)
            beside = source((str(path),), config=str(folder)).sizes()
            assert sum(beside.values()) == pytest.approx(sum(loaded), rel=0.02)


def test_models_known_by_name_are_counted_without_their_files():
    rows = {name: row for name, *row in needs.table()}
    assert set(rows) == {name for name, card in FAMILIES.items() if card.sizes} == set(FAMILIES) - {"builtin", "toy"}
    assert needs.sizes("toy") is None and needs.sizes("nowhere/to/be/found") is None
    found, millions = needs.of("flux", "cpu"), FAMILIES["flux"].sizes
    assert found.together / found.largest == pytest.approx(sum(millions.values()) / millions["transformer"])


def test_the_documentation_has_the_same_numbers():
    table = DOCS.split("## What each needs")[1]
    for name, together, largest, _ in needs.table():
        row = re.search(rf"^\| [^|]*`{name}`[^|]*\| ([\d.]+) GB \| ([\d.]+) GB", table, re.MULTILINE)
        assert row, name
        assert float(row[1]) == pytest.approx(together, rel=0.06) and float(row[2]) == pytest.approx(
            largest, rel=0.06
        )


def test_networks_take_turns_only_if_the_largest_fits():
    model, room = 100 * 10**9, policy.PASS * 1024**2
    assert policy.choose("cuda", model + room, model, 1024, largest=70 * 10**9).placement == "resident"
    assert policy.choose("cuda", 75 * 10**9, model, 1024, largest=70 * 10**9).placement == "offload"
    assert policy.choose("cuda", 65 * 10**9, model, 1024, largest=70 * 10**9).placement == "sequential"
    assert policy.choose("cuda", 65 * 10**9, model, 1024, largest=50 * 10**9).placement == "offload"


def test_a_model_is_placed_by_its_largest_network(made, monkeypatch):
    (_, folder), asked = made("dev"), []

    def choose(kind, free, model, side, memory, largest):
        asked.append((model, largest))
        return policy.Policy()

    monkeypatch.setattr(policy, "choose", choose)
    inpaint.load(str(folder), dtype="float32", device="cpu")
    counts = needs.sizes(str(folder)).values()
    assert asked == [(4 * sum(counts), 4 * max(counts))]


@pytest.mark.filterwarnings("ignore")
def test_the_page_says_it_before_loading(made):
    from page.layout import Page
    from page.limits import Limits

    page = Page(Limits(), "toy")
    said = page.needs("sdxl")["info"]
    assert re.fullmatch(r"Needs \d+\.\d GB, or \d+\.\d GB if its networks take turns; \d+\.\d GB are free here", said)
    assert "GB" in page.needs(str(made("sdxl")[1]))["info"]
    for other in ("toy", "no such model", None):
        assert "GB" not in str(page.needs(other)["info"])


def test_the_bench_prints_a_row_for_each(capsys):
    from bench.needs import main

    main([])
    printed = capsys.readouterr().out
    assert all(name in printed for name, *_ in needs.table()) and "sequential" in printed
