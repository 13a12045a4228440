"""List the tasks a person comes for, and the settings of each."""

from __future__ import annotations

TASKS: dict[str, dict[str, object]] = {
    "fill": {"fill": "auto", "strength": 1.0, "grow": 0, "expand": ""},
    "remove": {"fill": "border", "strength": 1.0, "grow": 4, "expand": "", "prompt": ""},
    "replace": {"fill": "neutral", "strength": 1.0, "grow": 0, "expand": ""},
    "touch": {"fill": "original", "strength": 0.5, "grow": 0, "expand": ""},
    "expand": {"fill": "border", "strength": 1.0, "grow": 0, "expand": "16:9"},
}


def task_of(settings: dict) -> str:
    """Return the task with these settings, for a request restored from a picture."""
    if settings.get("expand"):
        return "expand"
    alike = [
        name
        for name, brings in TASKS.items()
        if all(settings.get(key) == value for key, value in brings.items() if key in ("fill", "strength"))
    ]
    return alike[0] if alike else "fill"
