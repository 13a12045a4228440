"""Download models from the Hugging Face Hub: a repository's id becomes a folder on this machine.

A model that is already on this machine is used even if the Hub does not answer or no longer has it.  Damaged files
are removed and downloaded again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from hashlib import sha1
from pathlib import Path
from typing import NamedTuple

from ..errors import ModelError, ModelUnavailable
from . import hub_errors, weight_files
from .download import WAIT, Damaged, digest_of, download

ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
DENOISERS = ("unet", "unet_inpainting", "transformer", "transformer_inpainting")
PARTS = (*DENOISERS, "vae", "text_encoder", "text_encoder_2", "text_encoder_3")
SMALL = ("model_index.json", "config.json", "*/config.json", "scheduler/*.json", "tokenizer/*", "tokenizer_[23]/*")
SHA1, SHA256 = re.compile("[0-9a-f]{40}"), re.compile("[0-9a-f]{64}")  # the cache names its files by these digests


class Progress(NamedTuple):
    """The progress of a model's download in bytes; `total` is None if the Hub does not say how much there is."""

    repo: str
    done: int
    total: int | None


OnProgress = Callable[[Progress], None]  # may raise to stop the download; the next one continues from there


def is_id(name: str) -> bool:
    """Return whether this could be the id of a repository, OWNER/NAME."""
    return bool(ID.fullmatch(name)) and ".." not in name


def fetch(
    repo: str, parts: tuple[str, ...] = PARTS, offline: bool | None = None, progress: OnProgress | None = None
) -> Path:
    """Return the folder with these parts of the repository, downloaded if needed.

    progress  called for every piece that arrives

    Raises ModelUnavailable if it can neither be downloaded nor found on this machine.
    """
    if not is_id(repo):
        raise ModelError(
            f"{repo[:60]!r} is not the id of a model on the Hub.", "An id is OWNER/NAME, in letters and digits."
        )
    from huggingface_hub import constants, errors

    offline = constants.HF_HUB_OFFLINE if offline is None else offline
    cause: Exception | None = None
    if not offline:
        try:
            return _downloaded(repo, parts, _stopping(progress))
        except _Stopped as stopped:
            raise stopped.error from None
        except (OSError, ValueError, errors.HTTPError, hub_errors.Cut, Damaged) as error:
            cause = error  # ValueError: a captive portal, as in a hotel, answers with HTML
    found = _on_disk(repo, parts)
    if found is not None:
        return found
    raise ModelUnavailable(*hub_errors.explain(cause or LookupError(), repo, offline)) from cause


def chosen(files: list[str], part: str) -> list[str]:
    """Return the weight files of one part to download: half precision if there is any, never a pickle.

    A repository may hold nothing but a VAE, or a model of transformers ("model"), with its weights at the top.  For
    weights in several files the index is returned too.
    """
    own = [file for file in files if file.startswith(f"{part}/") and ".safetensors" in file and "non_ema" not in file]
    if part == "vae" and not own:
        own = [file for file in files if re.fullmatch(r"diffusion_pytorch_model[\w.-]*\.safetensors[\w.]*", file)]
    if part == "model":
        own = [file for file in files if re.fullmatch(r"model\.safetensors", file)]
    weights = [file for file in own if file.endswith(".safetensors")]
    indices = [file for file in own if re.search(r"\.safetensors\.index(\.\w+)?\.json$", file)]
    return ([file for file in weights if ".fp16" in file] or weights) + indices


def remove_damaged(folder: Path) -> list[str]:
    """Remove the files of a downloaded folder that differ from the Hub's; return their names."""
    gone = []
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not _sound(file, every_byte=True):
            _remove(file)
            gone.append(file.name)
    return gone


class _Stopped(BaseException):
    """Raised when the callback stops the download; it carries the callback's error past the Hub's error handling."""

    def __init__(self, error: Exception):
        self.error = error


def _stopping(progress: OnProgress | None) -> OnProgress:
    def call(step: Progress) -> None:
        try:
            if progress is not None:
                progress(step)
        except Exception as error:
            raise _Stopped(error) from error

    return call


def removed(file: str, repo: str) -> ModelUnavailable:
    """Return the error for a damaged file that cannot be downloaded again now."""
    return ModelUnavailable(
        f"The file {file} of the model {repo} is damaged; it has been removed.",
        "Go online once to download it again.",
    )


def _downloaded(repo: str, parts: tuple[str, ...], progress: OnProgress) -> Path:
    """Return the folder with missing files downloaded; raise whatever client, connection or disk raise."""
    from huggingface_hub import hf_hub_download, model_info

    info = model_info(repo, timeout=WAIT, files_metadata=True)
    revision = info.sha or "main"
    sizes = {file.rfilename: file.size for file in info.siblings or ()}
    wanted = [name for name in sizes if any(fnmatch(name, pattern) for pattern in SMALL)]
    weights = [name for part in parts for name in chosen(list(sizes), part)]
    missing = [name for name in dict.fromkeys([*wanted, *weights]) if _cached(repo, name, revision) is None]
    total = sum(sizes[name] or 0 for name in missing)
    before = 0
    for name in missing:

        def on_bytes(done: int, before=before) -> None:
            progress(Progress(repo, before + done, total or None))

        on_bytes(0)
        if name in weights:
            _bring(repo, name, revision, on_bytes)
        hf_hub_download(repo, name, revision=revision, etag_timeout=WAIT, tqdm_class=_silent())
        before += sizes[name] or 0
    first = next(iter([*wanted, *weights]), None)
    if first is None:
        raise ModelError(f"The repository {repo} holds no model in diffusers' layout.", "Name another one.")
    if missing:  # records the revision, so that the model is found offline too
        hf_hub_download(repo, first, etag_timeout=WAIT, tqdm_class=_silent())
    file = _cached(repo, first, revision)
    if file is None:
        raise removed(first, repo)
    return file.parents[first.count("/")]


def _bring(repo: str, name: str, revision: str, on_bytes: Callable[[int], None]) -> None:
    """Download one weight file into the client's cache; try once more if it arrives damaged."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(repo, name, revision=revision)
    facts = get_hf_file_metadata(url, timeout=WAIT)
    if not facts.etag or "/" in facts.etag:
        return  # an unusual server: the client downloads the file itself
    blobs = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}" / "blobs"
    if (blobs / facts.etag).is_file():
        return
    digest = facts.etag if SHA256.fullmatch(facts.etag) else ""
    with suppress(Damaged):
        return download(url, blobs / facts.etag, facts.size, digest, on_bytes)
    download(url, blobs / facts.etag, facts.size, digest, on_bytes)


def _cached(repo: str, name: str, revision: str) -> Path | None:
    """Return the file from the cache if it is intact; remove it if it is damaged."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repo, name, revision=revision)
    if not isinstance(found, str):
        return None
    if _sound(Path(found)):
        return Path(found)
    _remove(Path(found))
    return None


def _on_disk(repo: str, parts: tuple[str, ...]) -> Path | None:
    """Return the folder of an earlier download with these parts, or None; raise ModelUnavailable if it is damaged."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(repo, local_files_only=True))
    except (OSError, ValueError):  # LocalEntryNotFoundError is both
        return None
    damaged = [file for file in _of_parts(folder, parts) if not _sound(file)]
    for file in damaged:
        _remove(file)
    if damaged:
        raise removed(damaged[0].name, repo)
    known = [part for part in parts if (folder / part / "config.json").is_file()]
    whole = [any((folder / part).glob("*.safetensors")) for part in known] or [any(folder.glob("*.safetensors"))]
    return folder if all(whole) else None


def _of_parts(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    for sub in (".", *parts, "scheduler", "tokenizer", "tokenizer_2", "tokenizer_3"):
        yield from (file for file in (folder / sub).glob("*") if file.is_file())


def _sound(file: Path, every_byte: bool = False) -> bool:
    """Return whether a downloaded file is whole: by its own header, or by the digest in its cache name."""
    blob = file.resolve()
    try:
        if every_byte and SHA256.fullmatch(blob.name):
            return digest_of(blob) == blob.name
        if SHA1.fullmatch(blob.name) and blob.stat().st_size < 1 << 24:
            data = blob.read_bytes()  # small files are named by git's digest
            return sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() == blob.name
        if weight_files.is_safetensors(file):
            weight_files.header(file)
        elif file.suffix == ".json":
            json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, ModelError):
        return False
    return True


def _remove(file: Path) -> None:
    """Remove a downloaded file and the blob that it links to in the cache."""
    blob = file.resolve()
    file.unlink(missing_ok=True)
    if blob.parent.name == "blobs":
        blob.unlink(missing_ok=True)


def _silent():
    """Return a progress bar that shows nothing."""
    from huggingface_hub.utils import tqdm

    class Silent(tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{**kwargs, "disable": True})

    return Silent
