"""Captions: what a hole shall hold, said as a person may say it."""

from __future__ import annotations

from numpy.random import Generator

from .stickers import Sticker

# The empty prompt means background.  So no sticker's caption is ever dropped: at use the unconditional branch of
# the guidance is then plain background, and guidance pushes away from it, towards drawing something.
EMPTY = ("", "background", "empty background", "plain background", "nothing", "empty", "remove")
EMPTY_SHARES = (0.60, 0.24, 0.06, 0.03, 0.03, 0.02, 0.02)

ARTICLES = ("a", "an", "the", "one", "my", "some")
FRAMES = ("{} sticker", "sticker of a {}", "{} emoji", "a picture of a {}", "3d {}", "photo of {}")


def background(rng: Generator) -> str:
    """A caption for a hole with nothing in it; mostly the empty one."""
    return str(rng.choice(EMPTY, p=EMPTY_SHARES))


def caption(rng: Generator, sticker: Sticker) -> str:
    """A caption for a sticker: mostly its name, sometimes framed, with or only by its keywords."""
    name, words = sticker.name, list(sticker.words)
    draw = rng.random()
    if draw < 0.60 or (draw >= 0.86 and not words):
        return name
    if draw < 0.76:
        article = "an" if name[0] in "aeiou" else "a"
        return f"{article if rng.random() < 0.7 else rng.choice(ARTICLES)} {name}"
    if draw < 0.86:
        return str(rng.choice(FRAMES)).format(name)
    chosen = [str(word) for word in rng.permutation(words)]
    if draw < 0.93:
        return f"{name} {chosen[0]}"
    return " ".join(chosen[:2]) if draw < 0.98 else chosen[0]


def corpus(stickers: list[Sticker]) -> list[str]:
    """Every text that a tokenizer should know well, often-used ones repeated."""
    frames = [frame.format("") for frame in FRAMES]
    names = [sticker.name for sticker in stickers]
    words = [word for sticker in stickers for word in sticker.words]
    return names * 3 + words * 2 + [*EMPTY[1:], *ARTICLES, *frames, "and", "on", "with", "in"] * 20
