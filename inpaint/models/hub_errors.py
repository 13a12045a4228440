"""Explain errors of the Hub, and what to do about them, in one sentence for each cause."""

from __future__ import annotations

import errno

from .download import Cut, Damaged

CUT = ("RemoteProtocolError", "ReadError")  # what httpx calls an answer that ends too early
FULL = (errno.ENOSPC, errno.EDQUOT)
STATUS = {  # what a status of the answer means, and what to do
    401: ("refuses this machine's token", "Log in again with `hf auth login`, or log out with `hf auth logout`."),
    403: ("refuses access to the model {repo}", "Log in with `hf auth login`, with a token that may read it."),
    429: ("has had too many requests from here", "Wait some minutes; logging in with `hf auth login` allows more."),
}


def explain(error: BaseException, repo: str, offline: bool = False) -> tuple[str, str]:
    """Explain an error of the Hub's client, the connection or the disk for this model, with advice."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return (
            f"The owner of the model {repo} asks you to accept the terms first.",
            f"Accept them on https://huggingface.co/{repo}, then log in with `hf auth login`.",
        )
    if isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError):
        return (
            f"The Hub has no public model {repo}.",
            "Check the id; for a private model log in with `hf auth login`.",
        )
    if isinstance(error, Cut) or type(error).__name__ in CUT:
        after = ""
        if isinstance(error, Cut):
            amount = f"{error.done >> 20} of {error.size >> 20} MB" if error.size else f"{error.done >> 20} MB"
            after = f" after {amount} of a file"
        return (
            f"The download of the model {repo} was cut off{after}.",
            "Check the network and try again: the download continues from there.",
        )
    if isinstance(error, Damaged):
        return f"A file of the model {repo} arrived damaged twice.", "Try again later."
    if offline or isinstance(error, errors.OfflineModeIsEnabled | errors.LocalEntryNotFoundError):
        return (
            f"The model {repo} is not on this machine, and going online is switched off.",
            "Go online once to download it, or use the built-in model.",
        )
    response = getattr(error, "response", None)
    if isinstance(error, errors.HTTPError) and response is not None:
        return _status(response.status_code, repo)
    if isinstance(error, OSError) and (found := _disk(error, repo)):
        return found
    if isinstance(error, ValueError):
        return (
            f"The model {repo} is not on this machine, and the network does not let requests through to the Hub.",
            "Log in to the network first, as in a hotel's, or use the built-in model.",
        )
    return (
        f"The model {repo} is not on this machine and the Hub cannot be reached.",
        "Go online once to download it, or use the built-in model.",
    )


def _status(status: int, repo: str) -> tuple[str, str]:
    problem, advice = STATUS.get(status, ("answers with an error", "Try again later, or use the built-in model."))
    if status >= 500:
        problem, advice = "is out of order at the moment", "Try again in some minutes, or use the built-in model."
    return f"The Hub {problem.format(repo=repo)} ({status}), and the model {repo} is not on this machine.", advice


def _disk(error: OSError, repo: str) -> tuple[str, str] | None:
    """Explain a full or broken download folder; None if the error comes from the network."""
    if error.errno in FULL:
        return (
            f"There is not enough disk space for the model {repo}.",
            "Free some space, or set HF_HOME to a folder on another disk.",
        )
    if error.filename is not None or error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO):
        return (
            f"The model {repo} cannot be saved: the folder for downloads cannot be written ({error.strerror}).",
            "Repair it, or set HF_HOME to a folder that can be written.",
        )
    return None
