"""Run one training that can be resumed: weights, optimiser, moving average, step, and a log."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from . import checkpoint, states
from .plan import Plan

WARMUP = 200  # updates until the full learning rate
DECAY = 0.3  # share of the run, at its end, over which the learning rate falls in a straight line …
FLOOR = 0.02  # … to this share of its peak


def learning_rate(updates: int, left: float, peak: float) -> float:
    """Return the learning rate: warm-up over the optimiser's first updates, plateau, decay towards the run's end."""
    return peak * min(1.0, (updates + 1) / WARMUP) * max(FLOOR, min(1.0, left / DECAY))


class Clock:
    """The time a run has, in seconds from now."""

    def __init__(self, seconds: float):
        self.began, self.seconds = time.monotonic(), seconds

    def left(self) -> float:
        """Return the share of the time that is left; below 0 once it is up."""
        return 1 - (time.monotonic() - self.began) / self.seconds


class Run:
    """A module being trained in `folder`; `state()` holds everything needed to resume.

    No random state is saved: the data and the noise of step i depend only on the plan's seed and on i.  Progress is
    counted in steps of the plan's batch; an update with a batch `stride` times as large counts as `stride` steps.
    """

    def __init__(
        self,
        folder: Path,
        module: nn.Module,
        steps: int,
        *,
        peak: float,
        plan: Plan,
        stamp: str = "",
        clock: Clock | None = None,
        stride: int = 1,
    ):
        self.folder, self.module, self.steps, self.peak, self.plan = folder, module, steps, peak, plan
        self.stamp = stamp  # fingerprint of the autoencoder that the run depends on; other states are out of date
        self.clock, self.stride = clock, stride
        self.step, self.updates, self.seconds = 0, 0, 0.0
        self.weights = {k: p for k, p in module.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(
            self.weights.values(), lr=peak, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )
        self.average = {k: p.detach().clone() for k, p in self.weights.items()}
        self.resume()

    def state(self) -> dict:
        """Return everything needed to resume, as a dictionary of tensors and numbers."""
        return {
            "step": self.step,
            "updates": self.updates,
            "seconds": self.seconds,
            "stamp": self.stamp,
            "average": self.average,
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def resume(self) -> None:
        """Resume from the last saved state that fits: the full one here, or a small one that is further on."""
        state = checkpoint.load(self.folder / "state.pt")
        if state is not None and state["stamp"] == self.stamp:
            self.module.load_state_dict(state["module"])
            self.optimizer.load_state_dict(state["optimizer"])
            for name, value in state["average"].items():
                self.average[name].copy_(value)
            self.step, self.updates, self.seconds = state["step"], state["updates"], state["seconds"]
        small = states.read(self.plan.states, self.folder.name)
        if small is not None and small[1]["stamp"] == self.stamp and int(small[1]["step"]) > self.step:
            self.begin(*small)
        if self.step == 0:
            (self.folder / "log.csv").unlink(missing_ok=True)

    def begin(self, weights: dict[str, Tensor], facts: dict[str, str]) -> None:
        """Start from other weights, with a fresh optimiser."""
        self.module.load_state_dict(self.module.state_dict() | weights)
        for name, value in self.average.items():
            value.copy_(weights[name])
        self.optimizer.state.clear()
        self.step, self.updates, self.seconds = int(facts["step"]), 0, float(facts["seconds"])

    def left(self) -> float:
        """Return the share of the run that is left: of its steps, or of its time if that is limited."""
        steps = 1 - self.step / self.steps
        return steps if self.clock is None else min(steps, self.clock.left())

    def update(self, loss: Tensor) -> None:
        """Make one optimiser step, and update the moving average."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.updates, self.left(), self.peak)
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.weights.values(), 1.0)
        if norm.isfinite():  # one bad batch must not ruin the run
            self.optimizer.step()
        self.step, self.updates = self.step + self.stride, self.updates + 1
        rate = max(1e-3, 20 / (20 + self.step))  # at first the average forgets faster
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.values()), list(self.weights.values()), 1 - (1 - rate) ** self.stride
            )

    def averaged(self) -> dict[str, Tensor]:
        """Return the state dictionary with each trained weight replaced by its moving average."""
        return self.module.state_dict() | {k: v.clone() for k, v in self.average.items()}

    def save(self) -> None:
        """Save the whole state in the run's folder, and a small one if the plan asks for it."""
        checkpoint.save(self.folder / "state.pt", self.state())
        if self.plan.out:
            states.write(
                self.plan.out,
                self.folder.name,
                self.averaged(),
                {"step": self.step, "seconds": round(self.seconds), "stamp": self.stamp},
            )

    def train(self, loss_at: Callable[[int], tuple[Tensor, dict]], sheet: Callable[[], None]) -> None:
        """Train to the last step, or until the time is up (at least one step); log, save and draw sheets."""
        log = Log(self.folder / "log.csv", self.step)
        saved, done = time.monotonic(), self.step >= self.steps
        while not done:
            start, before = time.monotonic(), self.step
            loss, figures = loss_at(self.step)
            self.update(loss)
            log.add({"loss": loss.item(), **{name: float(value) for name, value in figures.items()}})
            self.seconds += time.monotonic() - start
            done = self.left() <= 0
            if before // self.plan.log_every < self.step // self.plan.log_every:
                log.write(self.step, self.seconds)
            if done or time.monotonic() - saved > self.plan.save_seconds:
                self.save()
                saved = time.monotonic()
            if done or before // self.plan.sheet_every < self.step // self.plan.sheet_every:
                sheet()


class Log:
    """A CSV of figures, each the mean since the row before."""

    def __init__(self, path: Path, step: int):
        self.path, self.rows = path, []
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():  # drop rows that a killed process logged after its last save: those steps are repeated
            head, *rows = path.read_text().splitlines() or [""]
            write_lines(path, [head, *(row for row in rows if int(row.split(",")[0]) <= step)])

    def add(self, figures: dict[str, float]) -> None:
        """Add one step's figures to the mean."""
        self.rows.append(figures)

    def write(self, step: int, seconds: float) -> None:
        """Write a row: step, seconds of training so far, then the means."""
        names = list(self.rows[0])
        columns = [[row[name] for row in self.rows if not math.isnan(row[name])] for name in names]
        means = [sum(column) / len(column) if column else math.nan for column in columns]
        if not self.path.exists():
            write_lines(self.path, [",".join(["step", "seconds", *names])])
        with self.path.open("a") as file:
            file.write(",".join([str(step), f"{seconds:.0f}", *(f"{mean:.5g}" for mean in means)]) + "\n")
        self.rows.clear()


def write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(line + "\n" for line in lines))
