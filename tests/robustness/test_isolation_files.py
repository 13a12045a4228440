"""Check that visitors cannot read each other's files, that no address leaves the page's folder, and odd names."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from pathlib import Path

import pytest

from tests import gradio_aside
from tests.robustness.hostile.visitor import PREFIX, Visitor, hosted, named, painted, png

pytestmark = gradio_aside.warnings

ROOT = Path(__file__).resolve().parents[2]
SECRET = "nobody may read this"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """(address, Page, the folder it serves from); a secret lies beside the folder."""
    folder = tmp_path_factory.mktemp("isolation") / "files"
    (folder.parent / "secret.txt").write_text(SECRET)
    from page.limits import Limits

    with hosted(folder, Limits.from_environment({"INPAINT_PUBLIC": "1", "INPAINT_MAX_SESSIONS_EACH": "60"})) as (
        address,
        page,
    ):
        yield address, page, folder


def result(visitor: Visitor, name: str = "holiday.png", **how) -> dict:
    """The message with the path of a finished picture."""
    assert visitor.open(png(), name)["kind"] == "picture"
    assert visitor.run(painted())[-1]["kind"] == "result"
    return visitor.act("save", format="png", **how)


def test_nobody_acts_on_what_another_one_has_made(place):
    ours, other = Visitor(place[0]), Visitor(place[0])
    path = result(ours)["path"]
    assert ours.file(path).status_code == 200  # the address is the key
    for what in ("save", "film", "keep", "choose"):
        message = other.act(what, id=ours.latest)
        assert message["kind"] == "" and "src" not in message and "path" not in message
    assert "no picture" in other.run(painted())[-1]["say"].lower()
    for message in (other.trigger("scrub", {"index": 0}), other.act("back")):
        assert "src" not in message
    assert ours.act("save", format="jpg")["path"].endswith(".jpg")


def test_nobody_stops_anothers_run(place):
    address, page, _ = place
    ours, other, told = Visitor(address), Visitor(address), []
    ours.open(png())
    thread = threading.Thread(target=lambda: told.extend(ours.run(painted(), "slow", **{"option-steps": 4})))
    thread.start()
    end = time.monotonic() + 20
    while page.queue.current is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    other.cancel()
    thread.join(30)
    assert told[-1]["kind"] == "result"


def test_files_lie_where_nobody_can_guess(place):
    address, _, folder = place
    one, two = result(Visitor(address))["path"], result(Visitor(address))["path"]
    tokens = [Path(path).relative_to(folder / "sessions").parts[0] for path in (one, two)]
    assert tokens[0] != tokens[1] and all(len(set(token)) > 12 and len(token) >= 32 for token in tokens)
    visitor = Visitor(address)
    answer = visitor.api(named(visitor.upload(png())), named(visitor.upload(png())))
    assert len(Path(answer["files"][0]).parent.name) >= 20
    data = png(colour=(1, 2, 3))
    told = Path(visitor.upload(data)).parent.name  # known bytes do not tell where they were stored
    assert told not in {hashlib.new(kind, data).hexdigest() for kind in ("sha256", "sha1", "md5", "sha3_256")}
    for guess in (
        "sessions",
        "sessions/",
        "api",
        "",
        f"sessions/{tokens[0]}",
        f"sessions/*/{Path(one).name}",
        f"sessions/{'A' * 32}/{Path(one).name}",
        "deep_links",
    ):
        assert visitor.file(f"{folder}/{guess}").status_code in (403, 404), guess


def test_events_of_other_visitors_stay_private(place):
    ours, other = Visitor(place[0]), Visitor(place[0])
    result(ours)
    for event in (ours.session, "0" * 32, "../inpaint", "*"):
        assert "data:image" not in _stream(other, f"{PREFIX}/call/inpaint/{event}")


def _stream(visitor: Visitor, path: str) -> str:
    """What arrives at once."""
    import httpx

    with visitor.client.stream("GET", path, timeout=httpx.Timeout(3, read=0.5)) as answer:
        try:
            return "".join(answer.iter_text())
        except (httpx.ReadTimeout, httpx.RemoteProtocolError):
            return ""


ESCAPES = (
    "{folder}/../secret.txt",
    "{folder}/%2e%2e/secret.txt",
    "{folder}/..%2fsecret.txt",
    "{folder}/%252e%252e/secret.txt",
    "{folder}\\..\\secret.txt",
    "{folder}/..%5csecret.txt",
    "{folder}/sessions/../../secret.txt",
    "{folder}//..//secret.txt",
    "{beside}/secret.txt",
    "file://{beside}/secret.txt",
    "%2f{beside}/secret.txt",
    "{folder}/x/../../secret.txt%00.png",
    "{folder}/;/../../secret.txt",
    "{folder}/..%c0%afsecret.txt",
    "/etc/passwd",
    "../../../../etc/passwd",
    "/proc/self/environ",
    "/proc/self/cwd/app.py",
    "~/.bashrc",
    "{root}/app.py",
    "{root}/.git/config",
    "{root}/assets/model/model_index.json",
    "app.py",
    "inpaint/__init__.py",
    "/dev/zero",
)


@pytest.mark.parametrize("escape", ESCAPES)
def test_no_address_leads_out(place, escape):
    address, _, folder = place
    path = escape.format(folder=folder, beside=folder.parent, root=ROOT)
    visitor = Visitor(address)
    for where in (
        f"{PREFIX}/file={path}",
        f"{PREFIX}/file/{path}",
        f"/static/{path}",
        f"/assets/{path}",
        f"/svelte/{path}",
        f"{PREFIX}/custom_component/x/client/component/{path}",
    ):
        answer = visitor.get(where)
        assert answer.status_code in (400, 403, 404, 405, 422), (where, answer.status_code)
        assert SECRET not in answer.text and "root:" not in answer.text
    refused(visitor, path)


def refused(visitor: Visitor, path: str) -> None:
    """A file of that name can be opened neither on the page nor through the API, nor by our own hands."""
    from inpaint import UnreadablePicture
    from page.paint.opening import taken

    message = visitor.trigger("open", {"path": path, "name": "a.png"})
    assert "src" not in message and ("say" in message or "error" in message)
    assert re.search("cannot be read|is not there", visitor.api(named(path), None)["error"])
    with pytest.raises(UnreadablePicture, match="did not arrive"):
        taken(path)


def test_what_lies_in_the_working_folder_is_not_served(place, tmp_path, monkeypatch):
    (tmp_path / ".env").write_text(SECRET)
    monkeypatch.chdir(tmp_path)
    for path in (".env", "./.env", f"{tmp_path}/.env", "%2eenv"):
        assert Visitor(place[0]).file(path).status_code == 403, path


def test_links_are_not_followed_out(place):
    address, _, folder = place
    inside, visitor = folder / "0123abcd", Visitor(address)
    inside.mkdir(exist_ok=True)
    (inside / "plain.png").write_bytes(png())
    (inside / "link.png").symlink_to(folder.parent / "secret.txt")
    (inside / "up").symlink_to(folder.parent)
    (inside / "loop.png").symlink_to(inside / "loop.png")
    assert visitor.file(f"{inside}/plain.png").status_code == 200
    for path in (inside / "link.png", inside / "up" / "secret.txt", inside / "loop.png"):
        assert visitor.file(str(path)).status_code == 403
        refused(visitor, str(path))
    assert (folder.parent / "secret.txt").read_text() == SECRET


def test_a_known_path_puts_nothing_on_anothers_table(place):
    path = result(Visitor(place[0]))["path"]
    message = Visitor(place[0]).trigger("open", {"path": path, "name": "a.png"})
    assert "did not arrive" in message["say"] and Path(path).is_file()  # opening takes the file away


NAMES = (
    "../../x.png",
    "..",
    "a\r\nSet-Cookie: x=1.png",
    'a"; filename="x.html',
    "\u202egnp.exe",
    "é" * 300,
    "\U0001f600" * 80 + ".png",
    "a#b?c%41&d.png",
    "a\0b.png",
    "\ud800.png",
    "C:\\con\\aux.png",
    "monitoring.png",
    "<img src=x onerror=alert(1)>.png",
    "a" * 5000 + ".png",
    "",
    " . ",
    "`id`$(id).png",
    "\x1b[31m.png",
)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_a_name_stays_a_name(place, name):
    address, _, folder = place
    visitor = Visitor(address)
    message = result(visitor, name)
    path, shown = Path(message["path"]), message["name"]
    assert (
        path.name == shown
        and path.parent.parent.parent == folder / "sessions"
        and path.parent == path.parent.resolve()
    )
    assert shown.isprintable() and not re.search(r'["\'<>|:*?#%&;`$/\\]', shown) and len(shown.encode()) <= 120
    answer = visitor.client.get(f"{PREFIX}/file={path}")
    assert answer.status_code == 200 and answer.content[:4] == b"\x89PNG"
    assert "set-cookie" not in answer.headers and answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize("name", [name for name in NAMES[:-5] if name != ".."], ids=lambda name: ascii(name)[:20])
def test_an_uploads_name_stays_in_its_folder(place, name):
    address, _, folder = place
    name = name.encode(errors="ignore").decode()
    stored = Path(Visitor(address).upload(png(), name or "x"))
    assert stored.parent.parent == folder and stored.parent == stored.parent.resolve()


@pytest.mark.parametrize("name", ["evil.html", "evil.svg", "evil.xhtml", "evil.js", "evil.xml", "evil", "evil.pdf"])
def test_an_uploaded_page_is_never_shown_as_one(place, name):
    visitor = Visitor(place[0])
    answer = visitor.file(visitor.upload(b"<script>alert(document.domain)</script>", name))
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"
    picture = visitor.file(visitor.upload(b"<script>alert(1)</script>", "evil.png"))
    assert picture.headers["content-type"] == "image/png" and picture.headers["x-content-type-options"] == "nosniff"
