"""Decide who can reach the page, and under which host names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from .origins import is_loopback

# The addresses of Hugging Face's proxies, which are trusted to name a visitor's address (uvicorn reads the variable).
PRIVATE_NETWORKS = "127.0.0.1,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"


def known_names(environment: Mapping[str, str] = os.environ) -> set[str]:
    """Return the host names in INPAINT_HOSTS, which a proxy in front of the page uses."""
    return {name.strip().lower() for name in environment.get("INPAINT_HOSTS", "").split(",") if name.strip()}


def is_exposed(host: str | None, share: bool, names: set[str]) -> bool:
    """Return whether other machines can reach a page that listens on `host`, through a share link or a proxy."""
    return share or bool(names) or not is_loopback(host)


def trust_proxies(environment: dict[str, str] | os._Environ = os.environ) -> None:
    """Trust the proxies in front of a Space; elsewhere those named in FORWARDED_ALLOW_IPS."""
    if environment.get("SPACE_ID"):
        environment.setdefault("FORWARDED_ALLOW_IPS", PRIVATE_NETWORKS)


def name_of(address: str | None) -> set[str]:
    """Return the host name of an address, as a set; empty for None."""
    name = urlsplit(address or "").hostname
    return {name} if name else set()
