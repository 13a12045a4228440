"""Download one large file: resume a broken download, check its digest, stop between chunks if asked.

huggingface_hub would start a broken download again from the beginning, so weights are downloaded here and stored
where its cache expects them (the documented layout: blobs/ETAG).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

WAIT = 20  # seconds for the Hub to answer; without a limit its client would wait for ever
TRIES, PAUSE = 5, 1.0  # tries without a new byte, and seconds between two of them


class Cut(Exception):
    """Raised when the connection broke while downloading `file`; `done` of `size` bytes are kept for the next try."""

    def __init__(self, file: str, done: int, size: int | None):
        self.file, self.done, self.size = file, done, size
        super().__init__(file)


class Damaged(Exception):
    """Raised when the downloaded bytes differ from what the Hub announced."""


def download(url: str, target: Path, size: int | None, digest: str, on_bytes: Callable[[int], None]) -> None:
    """Download url to target.

    digest    the file's SHA-256, or "" if it is not known
    on_bytes  called with the number of bytes so far; it may raise to stop the download

    Raises Cut, Damaged, OSError or the Hub's own HfHubHTTPError.
    """
    from huggingface_hub.utils import WeakFileLock

    target.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(target.with_name(target.name + ".lock")):  # another program may be downloading it too
        if not target.is_file():
            _download(url, target, size, digest, on_bytes)


def _download(url: str, target: Path, size: int | None, digest: str, on_bytes: Callable[[int], None]) -> None:
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    part, tries = target.with_name(target.name + ".incomplete"), 0
    while True:
        before = _size(part)
        try:
            _stream(url, part, size, on_bytes)
            break
        except HfHubHTTPError as error:
            if error.response.status_code != 416 or not before:  # 416: the partial file is longer than the whole
                raise
            part.unlink()
        except (HTTPError, Cut) as error:
            tries = 0 if _size(part) > before else tries + 1
            if tries >= TRIES:
                raise Cut(target.name, _size(part), size) from error
            time.sleep(PAUSE)
    if digest and digest_of(part) != digest:
        part.unlink()
        raise Damaged(target.name)
    os.replace(part, target)


def digest_of(path: Path) -> str:
    """Return a file's SHA-256 as hex digits; takes about a second for 2 GB."""
    digest = sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _stream(url: str, part: Path, size: int | None, on_bytes: Callable[[int], None]) -> None:
    """Append the missing bytes to `part`, or start again if the server cannot resume."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    done = _size(part)
    if size is not None and done == size:
        return on_bytes(done)
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    with get_session().stream("GET", url, headers=headers, timeout=WAIT, follow_redirects=True) as response:
        hf_raise_for_status(response)
        if response.status_code != 206:
            done = 0
        with open(part, "ab" if done else "wb") as file:
            on_bytes(done)
            for chunk in response.iter_bytes():
                file.write(chunk)
                done += len(chunk)
                on_bytes(done)
    if size is not None and done != size:
        raise Cut(part.name, done, size)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
