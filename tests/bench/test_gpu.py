"""Check the GPU's measurements with a tiny model, on the CPU and on an emulated device."""

import tempfile

import pytest

from bench import gpu
from tests.devices.emulation import Emulated


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_every_section_runs_on_the_cpu(tmp_path, capsys):
    into = tmp_path / "gpu.md"
    assert gpu.main(["--tiny", "--device", "cpu", "--into", str(into)]) == 0
    text = into.read_text(encoding="utf-8")
    assert text.strip() == capsys.readouterr().out.strip()
    assert all(f"### {name}" in text for name in gpu.SECTIONS)
    assert not {"ailed", "**no**", "No time"} & {word for word in ("ailed", "**no**", "No time") if word in text}
    assert text.count("| yes |") == 4  # two methods, two samplers


def test_every_policy_is_measured_on_an_emulated_device(tmp_path):
    with Emulated("cuda"):
        bench = gpu.Bench(gpu.make(tmp_path / "model", "cpu", True), "cuda", True, float("inf"))
        text = gpu.section(bench, "memory")
    assert "ailed" not in text, text
    for policy in ("resident", "offload", "sequential", "low"):
        assert f"| {policy} | 2 |" in text


def test_without_a_gpu_nothing_is_claimed(tmp_path, capsys):
    assert gpu.main(["--device", "cpu", "--into", str(tmp_path / "gpu.md")]) == 1
    assert "nothing was measured" in capsys.readouterr().out and not (tmp_path / "gpu.md").exists()


def test_a_section_that_fails_or_comes_too_late_costs_only_itself(tmp_path, monkeypatch):
    bench = gpu.Bench(tmp_path, "cpu", True, float("inf"))
    assert gpu.section(bench, "memory").startswith("### memory\n\nFailed: ModelError")
    assert "No time was left" in gpu.section(gpu.Bench(tmp_path, "cpu", True, 0.0), "memory")
