"""Names of files as visitors give them, made fit for a disk, a header and an address."""

from __future__ import annotations

import re

LONGEST = 100  # bytes: with "-inpainted.webp" behind it, any disk takes it


def stem(name: str) -> str:
    """The name without folders and ending, of printable characters that mean nothing to disks, headers and URLs.

    Direction marks go, for they can make an ending look like another one; "picture" if nothing is left.
    """
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(c for c in last if c.isprintable())  # no control characters, direction marks or half characters
    plain = re.sub(r'["\'<>|:*?#%&;`$]+', "_", plain.rpartition(".")[0] or plain).strip(" .")
    return plain.encode()[:LONGEST].decode(errors="ignore").strip(" .") or "picture"
