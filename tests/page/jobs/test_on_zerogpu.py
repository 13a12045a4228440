"""ZeroGPU as it is, with the package that Hugging Face runs there, in a folder of its own:

pip install --no-deps --target zerogpu -r tests/requirements-zerogpu.txt
PYTHONPATH=zerogpu python -m pytest tests/page/jobs/test_on_zerogpu.py tests/page/jobs/test_zerogpu.py
"""

from __future__ import annotations

import json

from tests.page.jobs.test_zerogpu import run_program


def test_on_zerogpu(tmp_path):
    """The model is on the card before the launch; sentences, quotas and cancelling come through; seconds suffice."""
    told = json.loads(run_program("tests/page/jobs/zerogpu_program.py", folder=tmp_path).splitlines()[-1])
    assert told["active"] and told["device"].startswith("cuda") and told["in another thread"] != told["device"]
    assert told["events"] == ["Preview"] * 4 + ["Finished"] and told["kept"] == [False] * 4 and told["seed"] == [[1]]
    assert told["nothing"] == ["InvalidRequest", "Nothing is painted. Paint over what should change."]
    assert told["memory"] == ["OutOfMemory", "Too large. Take a smaller picture."]
    assert told["offline"] == ["ModelUnavailable", "It is not here. Go online."]
    assert told["crash"] == ["RuntimeError", "not a sentence of ours"]
    assert "larger than the maximum allowed" in told["too long"]
    assert told["first"] == "Preview" and told["after a cancel"] == "Finished"
    assert told["asked"] == [16, 120], "15 s and a quarter of a second a step, never more than may be asked for"
    assert told["islands"] == 15 + 15 and told["another model"] == 15 + 60 + 1 and told["loading is an event"]
