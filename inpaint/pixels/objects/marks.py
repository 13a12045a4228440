"""Hold what a person drew to say which thing is meant: a click, a line over it, or a loop around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InvalidRequest

Point = tuple[float, float]
MOST = 2000  # points of a line; more are thinned out


@dataclass(frozen=True, slots=True)
class Marks:
    """Points in the picture's pixels, each (x, y); either `line` or `loop` is empty.

    line  a click, one point, or a line drawn over the thing
    loop  the corners of a box or of any closed line around the thing
    """

    line: tuple[Point, ...] = ()
    loop: tuple[Point, ...] = ()

    @classmethod
    def of(cls, size: tuple[int, int], line: Any = (), loop: Any = ()) -> Marks:
        """Return the marks, moved inside a picture of this size; raise InvalidRequest for anything else."""
        marks = cls(_points(line, size), _points(loop, size))
        if bool(marks.line) == bool(marks.loop):
            raise InvalidRequest("mask", "It is not clear which thing is meant.", "Give either a line or a loop.")
        if marks.loop and min(marks.box[2] - marks.box[0], marks.box[3] - marks.box[1]) < 3:
            raise InvalidRequest("mask", "There is hardly anything inside this loop.", "Draw a larger one.")
        return marks

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom of all points."""
        xs, ys = zip(*(self.line or self.loop), strict=True)
        return min(xs), min(ys), max(xs), max(ys)


def _points(values: Any, size: tuple[int, int]) -> tuple[Point, ...]:
    wrong = InvalidRequest("mask", "These are no points of the picture.", "Give each as [x, y] in its pixels.")
    if not isinstance(values, Sequence) or isinstance(values, (str, bytes)):
        raise wrong
    try:
        points = [(float(x), float(y)) for x, y in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise wrong from error
    if not all(math.isfinite(n) for point in points for n in point):
        raise wrong
    points = points[:: -(-len(points) // MOST) or 1]
    return tuple((min(max(x, 0), size[0] - 1), min(max(y, 0), size[1] - 1)) for x, y in points)
