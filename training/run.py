"""One resumable training run: weights, optimiser, moving average, step, and a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from . import checkpoint
from .plan import Plan

WARMUP = 300  # steps until the full learning rate
DECAY = 0.3  # share of the steps, at the end, over which it falls in a straight line …
FLOOR = 0.02  # … to this share of itself
KEEP = 10  # of so many saved states one is kept beside the last


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Warm-up, plateau, decay: a function of the step alone, so that a kill changes nothing."""
    decay = (steps - step) / (DECAY * steps)
    return peak * min(1.0, (step + 1) / WARMUP) * max(FLOOR, min(1.0, decay))


class Run:
    """A module being trained in `folder`; everything that a resume needs is in `state()`.

    No random state is kept: the data and the noise of step i are functions of the plan's seed and i.
    """

    def __init__(self, folder: Path, module: nn.Module, steps: int, *, peak: float, plan: Plan, stamp: str = ""):
        self.folder, self.module, self.steps, self.peak, self.plan = folder, module, steps, peak, plan
        self.stamp = stamp  # fingerprint of what the run stands on; a state with another one is stale
        self.step, self.seconds = 0, 0.0
        self.weights = {k: p for k, p in module.named_parameters() if p.requires_grad}
        self.average = {k: p.detach().clone() for k, p in self.weights.items()}
        self.optimizer = torch.optim.AdamW(
            self.weights.values(), lr=peak, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )
        self.resume()

    def state(self) -> dict:
        """Everything to go on from, as one dictionary of tensors and numbers."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "stamp": self.stamp,
            "average": self.average,
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def resume(self) -> None:
        """The last saved state, where there is one and it fits."""
        state = checkpoint.load(self.folder / "state.pt")
        if state is None or state["stamp"] != self.stamp:
            (self.folder / "log.csv").unlink(missing_ok=True)
            return
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, value in state["average"].items():
            self.average[name].copy_(value)
        self.step, self.seconds = state["step"], state["seconds"]

    def update(self, loss: Tensor) -> None:
        """One optimiser step and its share in the moving average."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.steps, self.peak)
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.weights.values(), 1.0)
        if norm.isfinite():  # one bad batch must not cost the night
            self.optimizer.step()
        self.step += 1
        rate = max(1e-3, 20 / (20 + self.step))  # a young average forgets its first steps sooner
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.values()), list(self.weights.values()), rate)

    def averaged(self) -> dict[str, Tensor]:
        """The state dictionary with each trained weight replaced by its moving average."""
        return self.module.state_dict() | {k: v.clone() for k, v in self.average.items()}

    def train(self, loss_at: Callable[[int], tuple[Tensor, dict]], sheet: Callable[[], None]) -> None:
        """Run to the last step: log, save and draw sheets on the way."""
        log = Log(self.folder / "log.csv", self.step)
        while self.step < self.steps:
            start = time.monotonic()
            loss, figures = loss_at(self.step)
            self.update(loss)
            self.seconds += time.monotonic() - start
            log.add({"loss": loss.item(), **figures})
            if self.step % self.plan.log_every == 0:
                log.write(self.step, self.seconds)
            last = self.step == self.steps
            if last or self.step % self.plan.save_every == 0:
                checkpoint.save(self.folder / "state.pt", self.state())
            if self.step % (KEEP * self.plan.save_every) == 0:  # to go back to by hand, should it diverge
                checkpoint.save(self.folder / "earlier.pt", self.state())
            if last or self.step % self.plan.sheet_every == 0:
                sheet()


class Log:
    """A CSV of figures, each the mean since the row before."""

    def __init__(self, path: Path, step: int):
        self.path, self.rows = path, []
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():  # what a killed process logged beyond its last save is about to be done again
            head, *rows = path.read_text().splitlines() or [""]
            write_lines(path, [head, *(row for row in rows if int(row.split(",")[0]) <= step)])

    def add(self, figures: dict[str, float]) -> None:
        """One step's figures into the mean."""
        self.rows.append(figures)

    def write(self, step: int, seconds: float) -> None:
        """A row: step, seconds of training so far, then the means."""
        names = list(self.rows[0])
        means = [sum(row[name] for row in self.rows) / len(self.rows) for name in names]
        if not self.path.exists():
            write_lines(self.path, [",".join(["step", "seconds", *names])])
        with self.path.open("a") as file:
            file.write(",".join([str(step), f"{seconds:.0f}", *(f"{mean:.5g}" for mean in means)]) + "\n")
        self.rows.clear()


def write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(line + "\n" for line in lines))
