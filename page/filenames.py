"""Make visitors' file names safe for a disk, a header and a URL."""

from __future__ import annotations

import re

LONGEST = 100  # bytes: with "-inpainted.webp" behind it, any disk takes it


def stem(name: str) -> str:
    """Return the name without folders and suffix, in printable characters that disks, headers and URLs allow.

    Direction marks go, for they can make an ending look like another one; "picture" if nothing is left.
    """
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(c for c in last if c.isprintable())  # no control characters, direction marks or half characters
    plain = re.sub(r'["\'<>|:*?#%&;`$]+', "_", plain.rpartition(".")[0] or plain).strip(" .")
    return plain.encode()[:LONGEST].decode(errors="ignore").strip(" .") or "picture"
