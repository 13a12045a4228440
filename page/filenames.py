"""Make visitors' file names safe for a disk, a header and a URL."""

from __future__ import annotations

import re

LONGEST = 100  # bytes: short enough for any disk, even with "-inpainted.webp" added


def stem(name: str) -> str:
    """Return the name without folders and suffix, in printable characters that disks, headers and URLs allow.

    Direction marks are removed, since they can make a suffix look like another one.  "picture" if nothing is left.
    """
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(c for c in last if c.isprintable())  # no control characters, direction marks or lone surrogates
    plain = re.sub(r'["\'<>|:*?#%&;`$]+', "_", plain.rpartition(".")[0] or plain).strip(" .")
    return plain.encode()[:LONGEST].decode(errors="ignore").strip(" .") or "picture"
