"""Recognise requests that another website sends through a visitor's browser."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]/@]+)(:\d+)?")


def is_loopback(host: str | None) -> bool:
    """Return whether only this machine can reach a server on this host; None is Gradio's default, 127.0.0.1."""
    name = (host or "127.0.0.1").lower().strip("[]")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def knows_host(header: str | None, names: Collection[str]) -> bool:
    """Return whether a Host header names this machine or one of `names`.

    A website can point its own name to 127.0.0.1 (DNS rebinding); its scripts would then count as this page's own.
    """
    found = _HOST.fullmatch((header or "").lower())
    return found is not None and (is_loopback(found[1]) or found[1] in names)


def is_cross_site(headers: Mapping[str, str]) -> bool:
    """Return whether a browser sends the request for another website, judging by headers no website can change."""
    site = headers.get("sec-fetch-site")
    if site:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return bool(origin) and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
