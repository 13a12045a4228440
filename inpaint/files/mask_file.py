"""Read masks of every kind as grey levels, white = repaint.

    greys                    white is repainted; if all values are 0 and 1, 1 counts as white
    a label map              every number but 0
    colours                  everything but the background: black, or else the colour most of the border has
    strokes on transparency  the strokes; if some are black and some white, only the white ones
    a photo, partly erased   the transparent part

Anything but plain white on black gets a note that says how it was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageChops

from ..errors import UnreadablePicture
from . import pixel_modes
from .label_map import FAINT, is_label_map
from .picture import Picture
from .reading import opened

NOTES = "inpaint mask"  # the key in the mask's info under which its notes are kept
COLOURFUL = 40  # R, G and B of a grey differ by no more than this, even after compression
SPECKS = 0.0005  # of the pixels: fewer colourful ones count as noise
APART = 48  # levels from the background: nearer colours count as noise in it
PATCH, NOISE = 3, 8  # pixels a side, and levels: a square that varies no more is a plain surface, not an edge
SAMPLE = 1000  # pixels a side on which colours are counted
LABELS, SHARE = 64, 0.6  # a mask's 64 commonest colours cover this share of it; a photo has thousands of colours
DRAWN = 0.9  # of the visible pixels are black or white if they are strokes; the rest are soft edges
OUTLINES = 0.05  # of the pixels: less black than this on a white background is drawn on it
RARE = 0.1  # of the commonest colour: a rarer one between two others is their soft edge
OPAQUE = 128  # levels: an alpha from here on counts as visible


def open_mask(source: Any) -> Image.Image:
    """Return the mask in a path, bytes, file object, array, Pillow image or Picture as mode L, white = repaint."""
    if isinstance(source, Image.Image) and source.mode == "L" and isinstance(source.info.get(NOTES), tuple):
        return source  # already read
    indexed = False
    if isinstance(source, Picture):
        colours, alpha = source.rgb, source.alpha
    else:
        image = opened(_as_levels(source)).image
        if image.mode == "F" and not np.isfinite(np.asarray(image)).all():
            raise UnreadablePicture("The mask contains NaN or infinity.", "Give finite numbers.")
        alpha, indexed = pixel_modes.alpha_of(image), image.mode == "P"
        if image.mode.startswith("I") and image.getextrema() == (0, 1):
            image = Image.fromarray(np.asarray(image).astype(np.uint8))
        colours = image if image.mode == "L" else pixel_modes.to_rgb(image)[0]
    if alpha is not None and alpha.getextrema()[0] == 255:
        alpha = None
    mask, notes = _on_clear(colours.convert("RGB"), alpha) if alpha else _opaque(colours, indexed)
    return understood(mask.copy() if mask is colours else mask, notes)


def understood(mask: Image.Image, notes: Sequence[str] = ()) -> Image.Image:
    """Mark a mask (L) as one whose levels already mean how much may change, with notes on it; return it."""
    mask.info = {NOTES: tuple(notes)}
    return mask


def notes_of(mask: Image.Image) -> list[str]:
    """Return notes on how the mask was understood; none for white on black."""
    return list(mask.info.get(NOTES, ()))


def _as_levels(source: Any) -> Any:
    """Return arrays of only 0 and 1 as bool, since they nearly always mean no and yes; uint16 as uint8."""
    if getattr(getattr(source, "dtype", None), "kind", "") not in ("i", "u") or not source.size:
        return source
    if source.min() >= 0 and source.max() == 1:
        return source.astype(bool)
    return pixel_modes.scaled(source)[0] if source.dtype == np.uint16 else source


def _opaque(colours: Image.Image, indexed: bool = False) -> tuple[Image.Image, list[str]]:
    """Return the levels of an opaque mask (L or RGB), and notes; `indexed` if its colours came from a palette."""
    if colours.mode == "L" or not _is_colourful(colours):
        return _greys(colours.convert("L"))
    found = Palette.of(_sample(colours))
    if found.share < SHARE:
        return colours.convert("L"), ["The mask looks like a photo: its bright parts are repainted."]
    flat = None if indexed else Palette.of(_flat(colours))  # a palette has no soft edges: even thin lines count
    background = _background(colours, flat if flat and len(flat.counts) else found)
    labels = (flat and flat.labels(background)) or found.labels(background)
    if not labels:  # the mask has one colour only
        background = np.zeros(3, np.uint8)
    level = _distance(colours, background)
    if len(labels) < 2:
        colour = labels[0] if labels else found.colours[0].astype(int)
        whole = max(1, int(np.abs(colour - background.astype(int)).max()))
        return level.point(lambda v: min(255, v * 255 // whole)), []
    return level.point(lambda v: 255 * (v >= APART)), [_several(len(labels))]


def _greys(grey: Image.Image) -> tuple[Image.Image, list[str]]:
    """Return the levels, with 0 and 1 read as black and white, and so the numbers of a label map."""
    highest = grey.getextrema()[1]
    if highest == 1:
        return grey.point(lambda v: 255 * v), ["The mask's values are 0 and 1: 1 is taken as white."]
    if is_label_map(np.asarray(grey)):
        return grey.point(lambda v: 255 * (v > 0)), [
            f"The mask numbers its objects, up to {highest}: all of them are repainted."
        ]
    return grey, []


def _on_clear(colours: Image.Image, alpha: Image.Image) -> tuple[Image.Image, list[str]]:
    """Return the levels of a partly transparent mask (RGB), and notes."""
    visible = np.asarray(alpha) >= OPAQUE
    if not visible.any():
        visible = np.asarray(alpha) > 0
    shown = _sample(colours, visible)
    found = Palette.of(shown)
    erased = ["The transparent parts of the mask are repainted, as in a photo with a part erased."]
    if _is_photo(shown, found):
        return alpha.point(lambda v: 255 - v), erased
    brightest = int(shown.max(initial=0))
    plain = _rim(visible).mean() > 0.5  # the border is visible: a surface with a gap in it, not strokes
    if not _is_colourful(colours, visible) and brightest >= FAINT:
        page = plain and found.blackness() > SPECKS and found.colours[0].max() >= OPAQUE  # a page of text
        if page or _extremes(shown, brightest) < (DRAWN if plain else 0.5):  # or a black-and-white photo
            return alpha.point(lambda v: 255 - v), erased
        return ImageChops.multiply(colours.convert("L"), alpha), []
    if plain:
        return alpha.point(lambda v: 255 - v), erased
    labels, strongest = found.labels(None), alpha.getextrema()[1]
    alpha = alpha.point(lambda v: v * 255 // max(1, strongest))  # strokes of a translucent marker count fully
    if len(labels) > 1:
        return alpha, [_several(len(labels))]
    return alpha, [] if brightest >= FAINT else [
        "The mask has black strokes on a transparent ground: they are repainted."
    ]


def _several(count: int) -> str:
    return f"The mask has {count} colours: all but its background are repainted."


def _is_photo(shown: np.ndarray, found: Palette) -> bool:
    """Return whether the image has so many colours, or so many middle greys, that it must be a photo."""
    if found.share >= SHARE or not len(shown):
        return False
    middle = (shown[:, 0] >= FAINT) & (shown[:, 0] < 255 - FAINT)
    return len(found.counts) > 256 or middle.mean() > 0.5


def _extremes(shown: np.ndarray, brightest: int) -> float:
    """Return the share of uint8 [n, 3] that is black or as bright as the brightest: near 1 for strokes."""
    level = shown.max(1, initial=0)
    return float(((level <= NOISE) | (level >= brightest - NOISE)).mean()) if len(level) else 1.0


def _is_colourful(colours: Image.Image, where: np.ndarray | None = None) -> bool:
    """Return whether more of an RGB image is coloured than a few specks."""
    red, green, blue = colours.split()
    high = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    low = ImageChops.darker(ImageChops.darker(red, green), blue)
    vivid = np.asarray(ImageChops.difference(high, low)) > COLOURFUL
    if where is not None:
        vivid = vivid & where
    return bool(np.count_nonzero(vivid) > SPECKS * vivid.size)


def _sample(colours: Image.Image, where: np.ndarray | None = None) -> np.ndarray:
    """Return uint8 [n, 3]: about a million pixels spread over an RGB image, only those in `where` if it is given."""
    across, down = (max(1, n // SAMPLE) for n in colours.size)
    pixels = np.asarray(colours)[::down, ::across]
    return pixels.reshape(-1, 3) if where is None else pixels[where[::down, ::across]]


def _flat(colours: Image.Image) -> np.ndarray:
    """Return uint8 [n, 3]: the pixels surrounded by their own colour, which lie on no edge; often there are none."""
    across, down = (max(1, n // SAMPLE) for n in colours.size)
    pixels = np.asarray(colours)[::down, ::across]
    here = pixels[:-PATCH, :-PATCH].astype(np.int16)
    right, below = pixels[:-PATCH, PATCH:], pixels[PATCH:, :-PATCH]
    alike = (np.abs(here - right) <= NOISE).all(-1) & (np.abs(here - below) <= NOISE).all(-1)
    return pixels[:-PATCH, :-PATCH][alike]


def _background(colours: Image.Image, found: Palette) -> np.ndarray:
    """Return the background: black if there is enough of it, as in label maps, or else most of the border's colour.

    If the border is grey or white, enough means more black than grey or white, as less black is drawn on it.
    """
    border = Palette.of(_rim(np.asarray(colours))).colours[0]
    enough = SPECKS if np.ptp(border) > COLOURFUL else max(OUTLINES, found.share_of(border))
    return np.zeros(3, np.uint8) if found.blackness() > enough else border


def _distance(colours: Image.Image, background: np.ndarray) -> Image.Image:
    """Return mode L: the largest difference of R, G and B from the background."""
    plain = Image.new("RGB", colours.size, tuple(int(v) for v in background))
    red, green, blue = ImageChops.difference(colours, plain).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def _rim(pixels: np.ndarray) -> np.ndarray:
    """Return the outermost pixels of [H, W, …], one after the other."""
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


class Palette(NamedTuple):
    """The colours of an image, the commonest first, and how often each occurs."""

    colours: np.ndarray  # uint8 [n, 3]
    counts: np.ndarray  # int [n]

    @classmethod
    def of(cls, pixels: np.ndarray) -> Palette:
        """Return the colours of uint8 [n, 3]."""
        packed = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
        values, counts = np.unique(packed, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        values = values[order]
        return cls(np.stack([values >> 16, values >> 8 & 255, values & 255], -1).astype(np.uint8), counts[order])

    @property
    def share(self) -> float:
        """Return the share of pixels that the commonest colours cover: near 1 for a mask, small for a photo."""
        return float(self.counts[:LABELS].sum() / max(1, self.counts.sum()))

    def blackness(self) -> float:
        """Return the share of pixels that are black, or nearly."""
        return float(self.counts[self.colours.max(1, initial=0) < FAINT].sum() / max(1, self.counts.sum()))

    def share_of(self, colour: np.ndarray) -> float:
        """Return the share of pixels that have a colour (uint8 [3]), or nearly."""
        near = np.abs(self.colours.astype(int) - colour).max(1, initial=0) < APART
        return float(self.counts[near].sum() / max(1, self.counts.sum()))

    def labels(self, background: np.ndarray | None) -> list[np.ndarray]:
        """Return the colours that mark something: neither the background nor a soft edge between two others."""
        found: list[np.ndarray] = []
        for colour, count in zip(self.colours[:LABELS].astype(int), self.counts[:LABELS], strict=True):
            known = found if background is None else [background.astype(int), *found]
            near = any(np.abs(colour - other).max() < APART for other in known)
            rare = bool(found) and count < self.counts.max() * RARE
            if not near and not (rare and any(_between(colour, a, b) for a in known for b in known)):
                found.append(colour)
        return found


def _between(colour: np.ndarray, a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether a colour lies on the straight line from `a` to `b`, as the pixels of a soft edge do."""
    line = b - a
    at = (colour - a) @ line / max(1, line @ line)
    return 0 < at < 1 and np.abs(a + at * line - colour).max() < APART / 2
