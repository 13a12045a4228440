"""Which timesteps are walked: how many, how far apart, and where the walk begins."""

from __future__ import annotations

import math

from ..errors import InvalidRequest


def timesteps(steps: int, T: int = 1000, spacing: str = "leading") -> list[int]:
    """Timesteps in 0..T-1, ascending; the walk takes them from the end.

    leading  exactly `steps` of them: 1, 1 + T//steps, …  (diffusers' DDIM with steps_offset 1)
    article  what the article's program makes: ceil(T / (T//steps)) of them, refused where it crashes
    quad     the article's quadratic spacing, fine near 0
    """
    if spacing == "quad":
        return [math.floor((i * math.sqrt(0.8 * T) / (steps - 1)) ** 2) + 1 for i in range(steps)]
    if spacing == "leading" and steps >= T:
        raise InvalidRequest("steps", f"This model knows {T} noise levels.", f"Choose fewer than {T} steps.")
    stride = T // steps
    every = range(1, T + 1, stride)
    if spacing == "leading":
        return list(every[:steps])
    if every[-1] >= T:
        raise InvalidRequest(
            "steps",
            f"The article's spacing leaves the schedule at {steps} steps.",
            "Choose a number that divides 1000, such as 20, 25 or 50.",
        )
    return list(every)


def walk(steps: int, strength: float, exact: bool = False, T: int = 1000) -> tuple[int, int]:
    """(S, n): divide the schedule into S steps and run the last n of them.

    n = int(strength · S), rounded first so that 0.58 · 50 is 29, and at least 1; with `exact`, n = steps and S
    is as large as it must be.  strength is above 0: at 0 there is nothing to run.
    """
    if exact and strength < 1:
        S = min(max(steps, round(steps / strength)), T - 1)
        return S, min(steps, S)
    return steps, max(1, int(round(strength * steps, 6)))
