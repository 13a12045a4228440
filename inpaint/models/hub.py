"""Models from the Hugging Face Hub: a repository's id becomes a folder on this machine."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from ..errors import ModelError, ModelUnavailable

ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
FULL = (errno.ENOSPC, errno.EDQUOT)
WAIT = 20  # seconds for the Hub to answer; by itself its client waits for ever
PARTS = ("unet", "unet_inpainting", "vae", "text_encoder")
SMALL = ["model_index.json", "config.json", "*/config.json", "scheduler/*.json", "tokenizer/*"]


def is_id(name: str) -> bool:
    """Whether this could be a repository: OWNER/NAME, nothing else."""
    return bool(ID.fullmatch(name)) and ".." not in name


def fetch(repo: str, parts: tuple[str, ...] = PARTS, offline: bool | None = None) -> Path:
    """The folder with these parts of the repository, downloaded if need be; ModelUnavailable if it cannot be."""
    if not is_id(repo):
        raise ModelError(f"{repo[:60]!r} is no model on the Hub.", "Its id is OWNER/NAME, letters and digits.")
    from huggingface_hub import constants, errors, model_info, snapshot_download

    offline = constants.HF_HUB_OFFLINE if offline is None else offline
    try:
        files = [] if offline else [one.rfilename for one in model_info(repo, timeout=WAIT).siblings or ()]
        patterns = SMALL + [file for part in parts for file in chosen(files, part)]
        if offline:
            patterns += [f"{part}/*.safetensors" for part in parts]
        return Path(snapshot_download(repo, allow_patterns=patterns, local_files_only=offline))
    except (errors.RepositoryNotFoundError, errors.GatedRepoError, errors.HFValidationError) as error:
        raise ModelUnavailable(
            f"The Hub has no public model {repo}.", "Check the id; for a gated model log in with `hf auth login`."
        ) from error
    except (OSError, ValueError, errors.HTTPError, errors.LocalEntryNotFoundError) as error:
        # HTTPError: of whichever httpx it uses; ValueError: a hotel's network answers with a page of its own
        if getattr(error, "errno", None) in FULL:
            raise ModelUnavailable(
                f"There is no room on this disk for the model {repo}.",
                "Free some space, or set HF_HOME to a folder on another disk.",
            ) from error
        if not offline:
            return fetch(repo, parts, offline=True)  # an earlier download will do
        raise ModelUnavailable(
            f"The model {repo} is not on this machine and the Hub cannot be reached.",
            "Go online once to download it, or use the built-in model.",
        ) from error


def chosen(files: list[str], part: str) -> list[str]:
    """The weight files of one part to download: half precision where it is offered, never a pickle.

    A VAE may be a repository of its own, with its weights at the top.
    """
    own = [
        file
        for file in files
        if file.startswith(f"{part}/") and file.endswith(".safetensors") and "non_ema" not in file
    ]
    if part == "vae" and not own:
        own = [file for file in files if re.fullmatch(r"diffusion_pytorch_model[\w.-]*\.safetensors", file)]
    return [file for file in own if ".fp16" in file] or [file for file in own if ".fp16" not in file]
