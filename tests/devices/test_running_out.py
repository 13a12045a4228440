"""Check what a job gives up when the device's memory runs out, and that the next job gets it back."""

from dataclasses import replace

import pytest
import torch

from inpaint import OutOfMemory
from inpaint.memory.policy import Policy
from tests.devices.conftest import assert_same, request_of


def notes(result):
    return [note for note in result.report["notes"] if "Memory ran out" in note]


class Failing:
    """Lets a network's method run out of memory in its calls `when` to `when + failures`; counts the calls."""

    def __init__(self, owner, name, failures, when=0):
        self.real, self.failures, self.when, self.calls = getattr(owner, name), failures, when, 0
        setattr(owner, name, self)

    def __call__(self, *args, **kwargs):
        self.calls += 1
        if self.when < self.calls <= self.when + self.failures:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.real(*args, **kwargs)


def without_notes(result):
    return replace(result, report={**result.report, "notes": []})


def test_fewer_variations_at_a_time_come_first(painter, load, cuda):
    placed = load(device="cuda", memory="resident")
    Failing(placed.model.unets["inpaint"].conv_out, "forward", 2, when=1)
    request = request_of(count=4, steps=3)
    *steps, result = placed.stream(request)
    assert notes(result) == [f"Memory ran out: variations are made {n} at a time." for n in (2, 1)]
    assert_same(without_notes(result), painter(request))
    assert placed.model.applied == Policy()  # nothing else was given up
    assert [step.index for step in steps][-12:] == list(range(12)) and steps[-1].total == 12
    assert {step.image_index for step in steps[-12:]} == {0, 1, 2, 3}


def test_then_networks_take_turns_then_layers_and_the_next_job_has_the_models_own_policy(painter, load, cuda):
    placed = load(device="cuda", memory="resident")
    request = request_of(count=1, steps=3)
    fault = Failing(placed.model.unets["inpaint"].conv_out, "forward", 0, when=1)
    for failures, placement in ((1, "offload"), (2, "sequential")):
        fault.calls, fault.failures = 0, failures
        result = placed(request)
        assert len(notes(result)) == failures and placed.model.applied.placement == placement
        assert_same(without_notes(result), painter(request))
        again = placed(request)
        assert not notes(again) and placed.model.applied == placed.model.policy == Policy()
        assert {weight.device.type for weight in placed.model.unets["inpaint"].parameters()} == {"cuda"}
        assert_same(again, painter(request))


def test_a_decoder_that_runs_out_repeats_the_decode_and_not_the_walk(painter, load, cuda):
    placed, request = load(device="cuda", memory="resident"), request_of(count=2, steps=3)
    placed(request)
    fault = Failing(placed.model.vae, "decode", 1)
    *steps, result = placed.stream(request)
    assert len(steps) == 3 and result.report["steps"] == 3
    assert notes(result) == ["Memory ran out: the VAE works in tiles for this picture."] and fault.calls == 3
    assert_same(without_notes(result), painter(request))
    assert placed(request) and not placed.model.vae.use_tiling


def test_where_nothing_is_left_one_sentence_and_the_next_job_works(painter, load, cuda):
    placed, request = load(device="cuda", memory="resident"), request_of(count=2)
    fault = Failing(placed.model.unets["inpaint"].conv_out, "forward", 10**6)
    with pytest.raises(OutOfMemory, match="more memory than this machine has"):
        placed(request)
    fault.failures = 0
    assert_same(placed(request), painter(request))


def test_a_real_limit_is_met_by_fewer_variations_and_offloading(painter, load, cuda):
    """Bytes are counted here, so each measure must really free memory."""
    request = request_of(count=4)
    placed = load(device="cuda", memory="resident")
    placed(request_of(count=1))
    placed.model.free()
    weights = cuda.allocated()
    cuda.limit = weights + 2_000_000
    result = placed(request)
    assert notes(result) and notes(result)[0].startswith("Memory ran out: variations are made")
    assert_same(without_notes(result), painter(request))


@pytest.mark.parametrize(
    ("dtype", "supported", "wider"), [("float16", True, "bfloat16"), ("float16", False, "float32")]
)
def test_a_unet_that_overflows_runs_in_a_wider_dtype_from_then_on(load, cuda, monkeypatch, dtype, supported, wider):
    monkeypatch.setattr("inpaint.memory.device.has_bfloat16", lambda _: supported)
    placed = load(device="cuda", dtype=dtype)
    narrow, reads = placed.model.unets["inpaint"], []
    narrow.conv_out.register_forward_hook(lambda module, inputs, out: out * float("nan"))
    read = placed.model.parts.unets["inpaint"].unet
    placed.model.parts.unets["inpaint"].unet = lambda *given: reads.append(given) or read(*given)
    *steps, result = placed.stream(request_of(steps=4, count=2))
    said = [note for note in result.report["notes"] if "invalid numbers" in note]
    assert said == [f"The UNet produced invalid numbers in {dtype} and runs in {wider} from here on."]
    assert len(steps) == 4 and len(reads) == 1  # seen after the first step
    assert str(next(placed.model.unets["inpaint"].parameters()).dtype) == f"torch.{wider}"
    assert not placed(request_of(steps=2)).report["notes"] and len(reads) == 1
