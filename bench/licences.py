"""List every package that requirements.txt installs: its version, its licence, and who requires it.

    python -m bench.licences [--requirements requirements.txt]

The list is read from the installed packages, offline; packages for other platforms or extras are not shown.
"""

from __future__ import annotations

import argparse
import re
import sys
from datetime import date
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from .record import ROOT, table

# licences that a program under the MIT licence may use without further conditions: permissive, or weak copyleft
FREE = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|0BSD|HPND|MPL|Mozilla|Unlicense|CC0|Zlib"
    r"|Public Domain|BSL-1\.0|NCSA|LGPL.*|CNRI.*)\b",
    re.IGNORECASE,
)


def wanted(path: Path) -> list[Requirement]:
    """Return the requirements in a requirements file."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def everything(first: list[Requirement]) -> dict[str, set[str]]:
    """Return {package: who requires it} for these and all their dependencies; extras are followed where requested."""
    found: dict[str, set[str]] = {}
    todo = [(requirement, "requirements.txt") for requirement in first]
    seen = set()
    while todo:
        requirement, asker = todo.pop()
        name = plain(requirement.name)
        found.setdefault(name, set()).add(asker)
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for need in map(Requirement, needs):
            if applies(need, requirement.extras):
                todo.append((need, name))
    return found


def applies(need: Requirement, extras: set[str]) -> bool:
    """Return whether a dependency is needed on this platform, always or for one of the extras."""
    return need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(found: metadata.PackageMetadata) -> str:
    """Return the SPDX expression if there is one, else the classifiers, else the first line of the licence field."""
    expression = found.get("License-Expression")
    if expression:
        return expression
    classified = [
        each.rpartition(" :: ")[2] for each in found.get_all("Classifier") or [] if each.startswith("License ::")
    ]
    classified = [each for each in classified if each != "OSI Approved"]
    text = (found.get("License") or "").strip().splitlines()
    return ", ".join(classified) or (text[0][:60] if text else "not stated")


def rows(asked: list[Requirement]) -> list[tuple[str, str, str, str]]:
    """Return (name, version, licence, who requires it), by name; pinned versions not installed are marked."""
    pinned = {plain(each.name): each.specifier for each in asked}
    found = []
    for name, askers in sorted(everything(asked).items()):
        try:
            package = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            found.append((name, "not installed", "", ", ".join(sorted(askers))))
            continue
        version = package["Version"]
        if name in pinned and not pinned[name].contains(version, prereleases=True):
            version += f" (pinned: {pinned[name]})"
        found.append((package["Name"], version, licence(package), ", ".join(sorted(askers))))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requirements", type=Path, default=ROOT / "requirements.txt")
    found = rows(wanted(parser.parse_args().requirements))
    odd = [row for row in found if row[2] and not FREE.search(row[2])]
    print(f"{len(found)} packages on Python {sys.version.split()[0]}, {sys.platform}; {date.today()}\n")
    print(table(["package", "version", "licence", "required by"], [list(row) for row in found]))
    print(
        "\nA person should look at: " + ", ".join(f"{row[0]} ({row[2]})" for row in odd) + "."
        if odd
        else "\nAll of them name a permissive or weak copyleft licence."
    )


if __name__ == "__main__":
    main()
