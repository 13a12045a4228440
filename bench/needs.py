"""Print how much memory each model known by name needs on a device, by policy, from the sizes of its networks.

    python -m bench.needs [--bytes 2]

resident holds all networks, offload one at a time, sequential one layer at a time, so that it needs little more than
what a pass takes.  Nothing is loaded: the numbers of parameters stand in inpaint/models/registry.py.
"""

from __future__ import annotations

import argparse

from inpaint.models.needs import table as rows

from .record import table


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=int, default=2, choices=(1, 2, 4), help="of a weight [default 2]")
    asked = parser.parse_args(argv)
    lines = [
        [name, f"{together + room:.1f} GB", f"{largest + room:.1f} GB", f"{room:.1f} GB"]
        for name, together, largest, room in rows(asked.bytes)
    ]
    print(table(["model", "resident", "offload", "sequential, beside a layer"], lines))


if __name__ == "__main__":
    main()
