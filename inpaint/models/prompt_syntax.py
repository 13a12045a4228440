"""Recognise other programs' prompt syntax: translate it, or note that it is read as plain words.

BREAK                    begins a new chunk of 75 tokens
embedding:name, name     a learned word, if an embedding of that name is loaded
<lora:name:0.8>          left out, since LoRAs are loaded with the model
[a:b:0.5]  [a|b]  a AND b  {a|b}  __a__            read as plain words
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

BREAK = re.compile(r"\s*\bBREAK\b[\s,]*")
TAG = re.compile(r"<(?P<kind>lora|lyco|hypernet):(?P<name>[^:<>]{1,200})(?::(?P<weight>[^<>]{0,40}))?>")
EMBEDDING = re.compile(r"\bembedding:(?P<name>[\w.-]{1,200})", re.IGNORECASE)
SUFFIX = r"(?:\.(?:safetensors|pt|bin))?"
WORDS = (  # the pattern, and what it does in other programs
    (re.compile(r"(?<!\\)\[[^\[\]\n]{0,300}:\s*\d*\.?\d+\s*\]"), "changes the prompt during the run"),
    (re.compile(r"(?<!\\)\[[^\[\]|\n]{1,300}\|[^\[\]\n]{1,300}\]"), "takes turns from step to step"),
    (re.compile(r"(?<!\S)AND(?!\S)"), "mixes two prompts"),
    (re.compile(r"\{[^{}|\n]{0,300}\|[^{}\n]{0,300}\}|(?<!\S)__[\w/-]{1,100}__"), "draws a word"),
)


def without_tags(prompt: str) -> str:
    """Return the prompt without network tags such as <lora:name:0.8>."""
    return TAG.sub("", prompt)


def pattern(names: Iterable[str]) -> re.Pattern[str] | None:
    """Return a pattern that finds these learned words in a prompt, the longest first; None without any."""
    known = sorted(names, key=len, reverse=True)
    if not known:
        return None
    either = "|".join(map(re.escape, known))
    return re.compile(rf"(?<![\w-])(?:embedding:)?(?P<name>{either})(?![\w-]){SUFFIX}", re.IGNORECASE)


def notes(prompt: str, embeddings: Iterable[str] = (), loras: Mapping[str, float] | None = None) -> list[str]:
    """Return a sentence for each part of the prompt that other programs would read differently.

    loras  {name: weight} of the LoRAs that are loaded
    """
    found, known = [], {name.lower() for name in embeddings}
    for tag in TAG.finditer(prompt):
        found += _tag(tag, loras or {})
    for match in EMBEDDING.finditer(prompt):
        if re.sub(SUFFIX + "$", "", match["name"].lower().rstrip(".")) not in known:
            found.append(f"There is no embedding {match['name']}: it is read as words. Load it with embeddings=.")
    for sign, effect in WORDS:
        for match in sign.finditer(TAG.sub("", prompt)):
            found.append(f"“{_short(match[0])}” is read as words; elsewhere it {effect}.")
    return list(dict.fromkeys(found))


def _tag(tag: re.Match[str], loras: Mapping[str, float]) -> list[str]:
    """Return a note on <lora:name:weight>; nothing if that LoRA is loaded with that weight."""
    if tag["kind"] != "lora" and tag["kind"] != "lyco":
        return [f"“{_short(tag[0])}” is left out: hypernetworks are not supported."]
    if tag["name"] not in loras:
        return [f"“{_short(tag[0])}” is left out: load the LoRA with the model (loras=, or --lora)."]
    loaded = loras[tag["name"]]
    if (tag["weight"] or "1").strip() == f"{loaded:g}":
        return []
    return [f"“{_short(tag[0])}” is left out: that LoRA is loaded with weight {loaded:g}."]


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"
