"""Find the thing that is meant, at a size at which it fits a small piece of the photo.

How large the thing is that a click means is not known, so it is searched for in pieces of many sizes.  Each find is
then cut out again from a piece that fits it, and searches that began at different sizes come to the same thing.  What
stands out best is taken, and what many searches came to counts for more.
"""

from __future__ import annotations

from math import inf

import numpy as np

from ...errors import InvalidRequest
from . import segment
from .marks import Marks
from .segment import GROUND, PERHAPS_GROUND, PERHAPS_THING, THING, Segment
from .source import Piece, Source

SIZES = (0.04, 0.06, 0.09, 0.14, 0.2, 0.3, 0.45, 0.65)  # half a piece's side, of the photo's long side
SIDE = 80  # pixels of a piece in the search
LOOP = 224  # the same inside a loop, which is searched once
FINE = 256  # the same for the last cut
AGAIN = (3, 2)  # how many of the finds are cut again, in each round
LIKELY, POSSIBLE, SURE = 0.65, 0.92, 0.1  # of half a piece's side: how far from the mark the thing reaches
ROOM = 0.4  # around a find, of its size
VOTE = 2  # score for each search that ended at the same thing


def found(source: Source, marks: Marks) -> Segment:
    """Return the thing that is meant; raise InvalidRequest if nothing stands out."""
    best = _inside(source, marks) if marks.loop else _under(source, marks)
    if best is None:
        raise InvalidRequest("mask", "Nothing stands out there.", "Draw a line over the thing, or circle it.")
    return _fine(source, marks, best)


def _under(source: Source, marks: Marks) -> Segment | None:
    """Return what lies under a click or a line."""
    long = max(source.size)
    finds = _different([_first(source, marks, size * long) for size in SIZES])
    for many in AGAIN:
        finds = _different([_second(source, marks, find) for find in finds[:many]])
    return max(finds, key=lambda find: find.score + VOTE * find.votes, default=None)


def _first(source: Source, marks: Marks, half: float) -> Segment | None:
    """Cut a piece that reaches `half` pixels beyond the marks."""
    import cv2

    left, top, right, bottom = marks.box
    piece = source.piece((left - half, top - half, right + half, bottom + half), SIDE)
    away = cv2.distanceTransform((~_seed(piece, marks)).astype(np.uint8), cv2.DIST_L2, 3) / (half * piece.scale)
    trimap = np.full(away.shape, GROUND, np.uint8)
    trimap[away < POSSIBLE], trimap[away < LIKELY], trimap[away < SURE] = PERHAPS_GROUND, PERHAPS_THING, THING
    return _cut(source, marks, piece, trimap)


def _second(source: Source, marks: Marks, find: Segment, side: int = SIDE) -> Segment | None:
    """Cut a find again, from a piece that fits it; it may grow and shrink."""
    piece, before = around(source, find, side)
    trimap = np.where(before, np.uint8(PERHAPS_THING), np.uint8(PERHAPS_GROUND))
    _shut(trimap, piece, source.size)
    trimap[_seed(piece, marks, 2)] = THING
    again = _cut(source, marks, piece, trimap)
    if again is not None:
        again.votes = find.votes
    return again


def _inside(source: Source, marks: Marks) -> Segment | None:
    """Return what lies inside a loop."""
    import cv2

    left, top, right, bottom = marks.box
    room = 0.15 * ((right - left) * (bottom - top)) ** 0.5
    piece = source.piece((left - room, top - room, right + room, bottom + room), LOOP)
    loop = np.zeros(piece.lab.shape[:2], np.uint8)
    cv2.fillPoly(loop, [piece.at(marks.loop)], 1)
    thing = segment.grabcut(piece, np.where(loop > 0, np.uint8(PERHAPS_THING), np.uint8(GROUND)), 5)
    _, labels, facts, _ = cv2.connectedComponentsWithStats(thing.astype(np.uint8), connectivity=4)
    large = facts[:, cv2.CC_STAT_AREA] >= max(segment.LEAST, 0.1 * facts[1:, cv2.CC_STAT_AREA].max(initial=0))
    large[0] = False
    inside = segment.filled(large[labels])
    return _visible(source, piece, inside) if inside.any() and not inside.all() else None


def _fine(source: Source, marks: Marks, find: Segment) -> Segment:
    """Cut a find's border once more, in more detail."""
    import cv2

    piece, before = around(source, find, FINE)
    band = max(3, round(0.05 * np.count_nonzero(before) ** 0.5))
    near = cv2.dilate(before.astype(np.uint8), segment.disc(band)) > 0
    core = cv2.erode(before.astype(np.uint8), segment.disc(band), borderValue=1) > 0
    trimap = np.where(before, np.uint8(PERHAPS_THING), np.uint8(PERHAPS_GROUND))
    trimap[~near], trimap[core] = GROUND, THING
    thing = segment.grabcut(piece, trimap, 2)
    inside = segment.connected(thing, core | (before & ~near), 0) if core.any() else segment.filled(thing)
    return Segment(inside if inside.any() else before, piece, find.score, find.votes)


def _cut(source: Source, marks: Marks, piece: Piece, trimap: np.ndarray) -> Segment | None:
    """Cut a piece; return the part under the marks, None if it is no more than a speck."""
    thing = segment.connected(segment.grabcut(piece, trimap, 3), _seed(piece, marks))
    if np.count_nonzero(thing) < segment.LEAST or thing.all():
        return None
    return _visible(source, piece, thing)


def _visible(source: Source, piece: Piece, inside: np.ndarray) -> Segment | None:
    """Return what is inside as a find, None if its edge cannot be seen."""
    score = segment.score_of(piece, inside, source.size)
    return Segment(inside, piece, score) if score > -inf else None


def around(source: Source, find: Segment, side: int) -> tuple[Piece, np.ndarray]:
    """Return the piece around a find, with some room, and bool [h, w]: where the find is in it."""
    import cv2

    left, top, right, bottom = find.box
    room = ROOM * ((right - left) * (bottom - top)) ** 0.5
    piece = source.piece((left - room, top - room, right + room, bottom + room), side)
    by, old = find.piece.scale / piece.scale, find.piece
    right, down = ((new - was) * old.scale for new, was in zip(piece.box[:2], old.box[:2], strict=True))
    half = (by - 1) / 2  # OpenCV counts from the middle of the first pixel
    move = np.array([[by, 0, right + half], [0, by, down + half]], np.float32)
    size, how = (piece.lab.shape[1], piece.lab.shape[0]), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return piece, cv2.warpAffine(find.inside.astype(np.uint8) * 255, move, size, flags=how) > 127


def _shut(trimap: np.ndarray, piece: Piece, size: tuple[int, int]) -> None:
    """Make a strip along the piece's edges ground, except where the photo ends."""
    strip = max(2, round(0.06 * max(trimap.shape)))
    edges = (trimap[:, :strip], trimap[:strip], trimap[:, -strip:], trimap[-strip:])
    for edge, goes_on in zip(edges, piece.sides(size), strict=True):
        if goes_on:
            edge[:] = GROUND


def _seed(piece: Piece, marks: Marks, thick: int = 0) -> np.ndarray:
    """Return bool [h, w]: the pixels under the marks' line."""
    import cv2

    seed = np.zeros(piece.lab.shape[:2], np.uint8)
    points = piece.at(marks.line or ())
    if len(points):
        cv2.polylines(seed, [np.vstack([points, points[-1:]])], False, 1, max(1, 2 * thick))
        seed[points[:, 1], points[:, 0]] = 1
    return seed > 0


def _different(finds) -> list[Segment]:
    """Return the finds that differ, the best first, each with the votes of those like it."""
    kept: list[Segment] = []
    for find in sorted(filter(None, finds), key=lambda find: -find.score):
        like = next((other for other in kept if other.same_as(find)), None)
        if like is None:
            kept.append(find)
        else:
            like.votes += find.votes
    return kept
