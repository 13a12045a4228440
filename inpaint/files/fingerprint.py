"""Identify weights by 12 hex digits, so that a picture's record can tell whether the model was the same.

Reading gigabytes for that would take longer than loading the model.  So only parts of each file are hashed: its size,
its first and last MiB (header and tail) and 64 blocks of 16 KiB between them.  Names and folders do not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b, sha256
from pathlib import Path

from ..errors import ModelError

EDGE, BLOCK, BLOCKS = 1 << 20, 1 << 14, 64


def of_files(files: Iterable[Path]) -> str:
    """Return the fingerprint of these files, in this order; raise ModelError if one cannot be read."""
    digest = blake2b(digest_size=6)
    try:
        for path in files:
            _add(digest, path)
    except OSError as error:
        raise ModelError(f"The model file {path.name} cannot be read.", "Check the path.") from error
    return digest.hexdigest()


def _add(digest, path: Path) -> None:
    size = path.stat().st_size
    digest.update(size.to_bytes(8, "little"))
    with open(path, "rb") as file:
        digest.update(file.read(EDGE))
        if size > 2 * EDGE:
            for k in range(BLOCKS):
                file.seek(EDGE + (size - 2 * EDGE) * k // BLOCKS)
                digest.update(file.read(BLOCK))
        file.seek(max(0, size - EDGE))
        digest.update(file.read(EDGE))


def of_all(files: Iterable[Path]) -> str:
    """Return a digest of every byte of these files; takes a second for 2 GB."""
    digest = sha256()
    for path in files:
        with open(path, "rb") as file:
            while block := file.read(EDGE):
                digest.update(block)
    return digest.hexdigest()


def combined(plain: str, extras: list) -> str:
    """Return the fingerprint of a model with LoRAs or other parts added; without any it is `plain`."""
    return blake2b(repr((plain, extras)).encode(), digest_size=6).hexdigest() if extras else plain
