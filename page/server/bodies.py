"""Read request bodies within limits, and search them for network addresses that Gradio would fetch."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope


def announced(scope: Scope) -> int:
    """Return the body's size from its header; 0 if the header is missing (the body is counted as it arrives)."""
    text = dict(scope["headers"]).get(b"content-length", b"0")
    return int(text) if text.isdigit() else 0


def too_long(most: int) -> str:
    """Return the sentence for a body of more than `most` bytes."""
    return f"A request may have at most {most // 2**20} MB. Send less at a time."


def limited(receive: Receive, most: int) -> Receive:
    """Return a `receive` that raises HTTPException once more than `most` bytes have arrived."""
    taken = 0

    async def receive_limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise HTTPException(413, too_long(most))
        return message

    return receive_limited


async def read(receive: Receive) -> tuple[bytes, Receive]:
    """Return the whole body, and a `receive` that delivers it once more."""
    messages = []
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request" or not message.get("more_body"):
            break

    async def receive_again() -> Message:
        return messages.pop(0) if messages else await receive()

    return b"".join(message.get("body", b"") for message in messages), receive_again


def names_address(body: bytes) -> bool:
    """Return whether this JSON names a file by a network address; invalid JSON is left for Gradio to refuse."""
    if not any(sign in body for sign in (b"://", b"\\", b"\0")):  # the plain sign, escapes, or UTF-16
        return False
    try:
        return _addressed(json.loads(body))
    except (ValueError, RecursionError):
        return False


def _addressed(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_addressed, value))
    if not isinstance(value, dict):
        return False
    return "://" in str(value.get("path", "")) or any(map(_addressed, value.values()))
