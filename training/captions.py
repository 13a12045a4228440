"""Choose the content of a hole, and the words that a person may use for it."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.random import Generator

from .colours import NAMES, SPOKEN
from .stickers import Sticker

# The empty prompt means background, so no sticker's caption is ever dropped.  At inference the unconditional branch
# of the guidance is then plain background, and guidance pushes away from it, towards drawing something.
EMPTY = ("", "background", "empty background", "plain background", "nothing", "empty", "remove")
EMPTY_SHARES = (0.70, 0.14, 0.06, 0.03, 0.03, 0.02, 0.02)

ARTICLES = ("a", "an", "the", "one", "my", "some")
FRAMES = ("{} sticker", "sticker of a {}", "{} emoji", "a picture of a {}", "3d {}", "photo of {}")
PAIRS = ("{} and {}", "{} and {}", "{} and {}", "{} with {}", "{} next to {}")
SMALL, BIG = ("small", "tiny", "little"), ("big", "large", "huge")
PAINTED, SIZED, PAIRED = 0.24, 0.10, 0.08  # shares of the captions with a colour, a size, two things
LONGEST = 9  # words of a caption with two things; more do not fit before the portrait, see text.py


@dataclass(frozen=True, slots=True)
class Thing:
    """A sticker by its number, in the colour NAMES[colour] or in its own (−1)."""

    sticker: int
    colour: int = -1


@dataclass(frozen=True, slots=True)
class Order:
    """The content of a hole: no thing, one or two; whether small; and the words that ask for it."""

    things: tuple[Thing, ...]
    words: str
    small: bool = False


def background(rng: Generator) -> Order:
    """Return an order for background alone, mostly with an empty prompt."""
    return Order((), str(rng.choice(EMPTY, p=EMPTY_SHARES)))


def order(rng: Generator, stickers: list[Sticker]) -> Order:
    """Return an order for one or two things, in their own colour or another one, large or small."""
    if rng.random() < PAIRED:
        first, second = (thing(rng, stickers) for _ in range(2))
        names = [with_article(rng, named(rng, stickers, each)) for each in (first, second)]
        words = str(rng.choice(PAIRS)).format(*names)
        if len(words.split()) <= LONGEST:
            return Order((first, second), words)
    only = thing(rng, stickers)
    words = named(rng, stickers, only)
    if rng.random() < SIZED:
        small = bool(rng.random() < 0.5)
        return Order((only,), with_article(rng, f"{rng.choice(SMALL if small else BIG)} {words}"), small)
    return Order((only,), prompt(rng, stickers[only.sticker], words, keywords=only.colour < 0))


def thing(rng: Generator, stickers: list[Sticker]) -> Thing:
    """Pick a sticker, sometimes in another colour."""
    which = int(rng.integers(len(stickers)))
    return Thing(which, int(rng.integers(len(NAMES))) if rng.random() < PAINTED else -1)


def named(rng: Generator, stickers: list[Sticker], thing: Thing) -> str:
    """Return a thing's name, such as "pizza" or "blue apple"."""
    name = stickers[thing.sticker].name
    if thing.colour < 0:
        return name
    colour = NAMES[thing.colour]
    if colour in SPOKEN and rng.random() < 0.4:
        colour = str(rng.choice(SPOKEN[colour]))
    return f"{colour} {bare(name)}"


def bare(name: str) -> str:
    """Return a name without the colour that it may begin with: "red apple" -> "apple"."""
    first, _, rest = name.partition(" ")
    return rest if rest and first in NAMES else name


def with_article(rng: Generator, words: str) -> str:
    """Add an article most of the time: "apple" -> "an apple"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}" if rng.random() < 0.7 else words


def prompt(rng: Generator, sticker: Sticker, name: str, *, keywords: bool) -> str:
    """Return a prompt for a name: mostly the name alone, sometimes in a phrase, with keywords, or keywords only."""
    words, draw = list(sticker.words) if keywords else [], rng.random()
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
    """Return the texts that the tokenizer is trained on; frequent ones are repeated."""
    frames = [frame.format("") for frame in FRAMES]
    names = [sticker.name for sticker in stickers]
    words = [word for sticker in stickers for word in sticker.words]
    spoken = [word for words in SPOKEN.values() for word in words]
    often = [*EMPTY[1:], *ARTICLES, *frames, *NAMES, *spoken, *SMALL, *BIG, "and", "on", "with", "in", "next to"]
    return names * 3 + words * 2 + often * 20
