"""Read the page's command line, and report mistakes in one sentence before anything heavy is imported."""

from __future__ import annotations

import argparse
import errno
import os
import socket
from collections.abc import Mapping
from importlib.util import find_spec
from typing import NoReturn

REASONS = {
    errno.EADDRINUSE: "Port {port} is in use. Stop the program that uses it, or choose another --port",
    errno.EACCES: "You may not use port {port}. Choose a --port from 1024 on",
}
NO_ADDRESS = "This machine has no address {host}. Use --host 127.0.0.1 for this machine alone, or 0.0.0.0 for all"


class Parser(argparse.ArgumentParser):
    """A parser that reports errors in one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message.rstrip('.')}. See --help.\n")


def arguments(argv: list[str] | None = None, environment: Mapping[str, str] = os.environ) -> argparse.Namespace:
    """Return the parsed arguments; on a mistake exit with status 2 and one sentence."""
    parser = Parser(description="Repaint a part of a photo, in the browser.", allow_abbrev=False)
    add = parser.add_argument
    add("--model", default="builtin", help="builtin, sd15, toy, a folder, a single file or a Hub id")
    add(
        "--select-model",
        metavar="MODEL",
        help="outline the things that are clicked with SAM 2: a folder or a Hub id, loaded when it is first needed",
    )
    add(
        "--backend",
        default="auto",
        choices=("auto", "torch", "openvino"),
        help="the library that runs the UNet on a CPU; auto uses OpenVINO for large models, if it is installed",
    )
    host, port = (environment.get(f"GRADIO_SERVER_{name}") or None for name in ("NAME", "PORT"))
    add("--host", default=host, type=_host, help="address to listen on; 0.0.0.0 lets other machines in")
    add("--port", default=port, type=_port, help="port to listen on; default: 7860 or the next free one")
    add("--share", action="store_true", help="make a public link for 72 hours, through Gradio's servers")
    add(
        "--trust-visitors",
        action="store_true",
        help="with --share or another --host: no limits for visitors, who may then do all that you may",
    )
    add("--auth", metavar="NAME:PASSWORD", type=_credentials, help="ask for this name and password")
    add("--mcp", action="store_true", help='also be an MCP server; needs pip install "mcp<2"')
    add("--open", action="store_true", help="open the browser")
    asked = parser.parse_args(argv)
    if asked.mcp and asked.auth:
        parser.error("--mcp does not work with --auth, since MCP clients cannot log in: leave one of them out")
    if asked.mcp and find_spec("mcp") is None:
        parser.error('--mcp needs the protocol\'s library: pip install "mcp<2"')
    return asked


def check_address(host: str | None, port: int | None) -> None:
    """Exit with one sentence if the page cannot listen at this address; the port is free again afterwards."""
    host = (host or "127.0.0.1").strip("[]")
    try:
        for name in dict.fromkeys((host, "127.0.0.1")):  # Gradio checks the second one too
            family, kind, protocol, _, address = socket.getaddrinfo(name, port or 0, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                if os.name != "nt":  # on Windows this option would take the port from another program
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name with an empty or overlong part
        reason = REASONS.get(getattr(error, "errno", None) or 0, NO_ADDRESS)
        Parser().error(reason.format(host=repr(host[:60]), port=port))


def _host(text: str) -> str:
    """Return the host as it stands in an address: an IPv6 one in brackets."""
    return f"[{text}]" if ":" in text and not text.startswith("[") else text


def _port(text: str) -> int:
    if not text.isdecimal() or len(text) > 5 or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("Use a whole number from 1 to 65535")
    return int(text)


def _credentials(text: str) -> tuple[str, str]:
    name, _, password = text.partition(":")
    if not name.strip() or not password.strip():
        raise argparse.ArgumentTypeError("Write a name, a colon and a password, such as ann:long-secret")
    return name, password
