"""Serve a Hub of our own on 127.0.0.1 for the real client: file lists, digests, ranges and faults."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "a" * 40
RANGES = True  # whether it sends a part of a file when asked to
LARGE = 10_000  # bytes from which on a file has a SHA-256, as those stored apart do


def etag(data: bytes) -> str:
    if len(data) >= LARGE:
        return sha256(data).hexdigest()
    return sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    """`repos` are {id: {file name: bytes}}.

    faults    {"list" or a file's name: status, or how many bytes come before the line is cut}, for ever
    once      the same, each for one request
    requests  what was asked for: (method, path, range)
    """

    def __init__(self, repos: dict[str, dict[str, bytes]]):
        self.repos, self.faults, self.once, self.requests = repos, {}, {}, []
        self.url = ""

    def fault(self, key: str):
        return self.once.pop(key, None) or self.faults.get(key)

    def sent(self, name: str) -> list[str]:
        """The ranges in which a file was asked for."""
        return [span for method, path, span in self.requests if method == "GET" and path.endswith(name)]


@contextmanager
def serve(repos: dict[str, dict[str, bytes]]):
    hub = Hub(repos)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        self.hub.requests.append((self.command, self.path, self.headers.get("Range", "")))
        path = self.path.partition("?")[0].strip("/")
        if path.startswith("api/models/"):
            return self.listed("/".join(path.split("/")[2:4]))
        repo, _, rest = path.partition("/resolve/")
        name = rest.partition("/")[2]
        data = self.hub.repos.get(repo, {}).get(name)
        if data is None:
            missing = "EntryNotFound" if repo in self.hub.repos else "RepoNotFound"
            return self.reply(404, b"", {"X-Error-Code": missing})
        return self.file(name, data, body)

    def listed(self, repo: str) -> None:
        fault = self.hub.fault("list")
        if fault == "page":
            return self.reply(200, b"<html>Welcome to our hotel</html>", {"Content-Type": "text/html"})
        if fault == 404:
            repo = ""
        elif fault:
            codes = {4030: "GatedRepo"}
            return self.reply(int(str(fault)[:3]), b"{}", {"X-Error-Code": codes.get(fault, "")})
        if repo not in self.hub.repos:
            return self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        siblings = [{"rfilename": name, "size": len(data)} for name, data in self.hub.repos[repo].items()]
        facts = {"id": repo, "modelId": repo, "sha": COMMIT, "private": False, "tags": [], "siblings": siblings}
        return self.reply(200, json.dumps(facts).encode(), {"Content-Type": "application/json"})

    def file(self, name: str, data: bytes, body: bool) -> None:
        fault = self.hub.fault(name) if body else None
        if fault is not None and 400 <= fault < 600:
            return self.reply(fault, b"", {})
        begin = int(((RANGES and self.headers.get("Range")) or "bytes=0-")[6:].partition("-")[0])
        if begin >= len(data) > 0:
            return self.reply(416, b"", {})
        status, part = (206 if begin else 200), data[begin:]
        self.send_response(status)
        for key, value in (("ETag", f'"{etag(data)}"'), ("X-Repo-Commit", COMMIT), ("Content-Length", len(part))):
            self.send_header(key, str(value))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if body:
            self.wfile.write(part if fault is None else part[:fault])
            if fault is not None:
                self.close_connection = True
        return None

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
