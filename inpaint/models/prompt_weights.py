"""Parse weights in a prompt, as Stable Diffusion's users write them: (more), (more:1.3), [less], \\( a real bracket.

A bracket without its partner is taken literally.  Every text can be parsed, in time linear in its length.
"""

from __future__ import annotations

import re

UP, DOWN = 1.1, 1 / 1.1
LOW, HIGH = 0.0, 10.0
NUMBER = r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})"
TOKEN = re.compile(rf"\\[()\[\]\\]|[()\[\]]|:\s*({NUMBER})\s*\)|[^\\()\[\]:]+|[:\\]")


def parse(prompt: str) -> list[tuple[str, float]]:
    """Return [(text, weight), …]; joined, the texts are the prompt without its weights.  Weights are 0 … 10."""
    pieces: list[list] = []  # [text, weight]
    opened: list[tuple[str, int]] = []  # bracket, index of its piece
    spans: list[tuple[int, int, float]] = []  # pieces first … last - 1 are multiplied
    for match in TOKEN.finditer(prompt):
        token, number = match[0], match[1]
        if token in "([":
            opened.append((token, len(pieces)))
            pieces.append([token, 1.0])
        elif (token == ")" or number) and opened and opened[-1][0] == "(":
            spans.append((opened.pop()[1], len(pieces), float(number) if number else UP))
        elif token == "]" and opened and opened[-1][0] == "[":
            spans.append((opened.pop()[1], len(pieces), DOWN))
        else:
            pieces.append([token[1:] if token[0] == "\\" and len(token) == 2 else token, 1.0])
    return _joined(_weighted(pieces, spans))


def _weighted(pieces: list[list], spans: list[tuple[int, int, float]]) -> list[list]:
    """Multiply the weights in each span by its factor and blank its opening bracket, in one pass for any nesting."""
    starts: dict[int, list[float]] = {}
    ends: dict[int, int] = {}
    for first, last, factor in spans:
        pieces[first][0] = ""
        starts.setdefault(first, []).append(factor)
        ends[last] = ends.get(last, 0) + 1
    stack = [1.0]
    for i, piece in enumerate(pieces):
        del stack[len(stack) - ends.get(i, 0) :]
        for factor in starts.get(i, ()):
            stack.append(min(max(stack[-1] * factor, LOW), HIGH))
        piece[1] = stack[-1]
    return pieces


def _joined(pieces: list[list]) -> list[tuple[str, float]]:
    """Join neighbours of the same weight into one text."""
    texts: list[tuple[list[str], float]] = []
    for text, weight in pieces:
        if text and texts and texts[-1][1] == weight:
            texts[-1][0].append(text)
        elif text:
            texts.append(([text], weight))
    return [("".join(parts), weight) for parts, weight in texts]
