"""Check that DNS rebinding and forged requests of other websites are refused, but not people and programs."""

from __future__ import annotations

import pytest

from page.server.exposure import is_exposed, known_names, name_of, trust_proxies
from page.server.origins import is_cross_site, is_loopback, knows_host
from tests import gradio_aside
from tests.robustness.hostile.visitor import PREFIX, Visitor, hosted, png

pytestmark = gradio_aside.warnings

OURS = (
    "localhost",
    "localhost:7860",
    "127.0.0.1:7860",
    "127.0.0.1",
    "127.8.9.1:1",
    "[::1]:7860",
    "[::1]",
    "LOCALHOST:1",
)
FOREIGN = (
    "evil.example",
    "evil.example:7860",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "192.168.1.7:7860",
    "0.0.0.0",
    "[::2]",
    "127.0.0.1@evil.example",
    "localhost:7860/x",
    "a:b:c",
    "[::1].evil.example",
    "",
    None,
)


@pytest.mark.parametrize("host", OURS)
def test_this_machines_own_names_are_known(host):
    assert knows_host(host, ())


@pytest.mark.parametrize("host", FOREIGN)
def test_other_names_are_not(host):
    assert not knows_host(host, ())


def test_named_hosts_are_known():
    names = known_names({"INPAINT_HOSTS": "paint.example, Other.example"})
    assert knows_host("paint.example", names) and knows_host("other.example:443", names)
    assert not knows_host("evil.example", names) and known_names({}) == set()


@pytest.mark.parametrize(
    ("headers", "cross"),
    [
        ({}, False),  # a program
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),  # typed by hand
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site"}, True),  # another port of this machine
        ({"sec-fetch-site": "cross-site", "origin": "http://h:1", "host": "h:1"}, True),
        ({"origin": "http://h:1", "host": "h:1"}, False),
        ({"origin": "http://h:2", "host": "h:1"}, True),
        ({"origin": "http://h", "host": "h:1"}, True),
        ({"origin": "null", "host": "h:1"}, True),
        ({"origin": "http://evil.example", "host": "h:1"}, True),
    ],
)
def test_what_counts_as_another_website(headers, cross):
    assert is_cross_site(headers) is cross


@pytest.mark.parametrize(
    ("host", "loopback"),
    [(None, True), ("", True), ("127.0.0.1", True), ("localhost", True), ("::1", True), ("[::1]", True),
     ("0.0.0.0", False), ("::", False), ("192.168.1.7", False), ("paint.example", False)],
)  # fmt: skip
def test_who_can_reach_a_page(host, loopback):
    assert is_loopback(host) is loopback and is_exposed(host, False, set()) is not loopback
    assert is_exposed(host, True, set()) and is_exposed(host, False, {"paint.example"})


def test_proxies_are_trusted_on_a_space_only():
    home, space, own = {}, {"SPACE_ID": "a/b"}, {"SPACE_ID": "a/b", "FORWARDED_ALLOW_IPS": "1.1.1.1"}
    for environment in (home, space, own):
        trust_proxies(environment)
    assert home == {} and "10.0.0.0/8" in space["FORWARDED_ALLOW_IPS"] and own["FORWARDED_ALLOW_IPS"] == "1.1.1.1"
    assert name_of("https://abc.gradio.live") == {"abc.gradio.live"} and name_of(None) == set()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    from page.limits import Limits

    with hosted(tmp_path_factory.mktemp("origins") / "files", Limits()) as (address, page):
        yield address, page


PATHS = ("/", "/config", f"{PREFIX}/info", f"{PREFIX}/queue/join", f"{PREFIX}/call/inpaint", f"{PREFIX}/upload",
         f"{PREFIX}/file=/x", "/nowhere")  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_rebound_name_reaches_nothing(place, path, method):
    port = place[0].rpartition(":")[2]
    answer = Visitor(place[0]).client.request(method, path, headers={"host": f"evil.example:{port}"})
    assert answer.status_code == 421 and "127.0.0.1" in answer.text
    assert "access-control-allow-origin" not in answer.headers


def test_other_websites_can_send_nothing(place):
    visitor = Visitor(place[0])
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        for path in (f"{PREFIX}/upload", f"{PREFIX}/call/inpaint", f"{PREFIX}/queue/join", f"{PREFIX}/cancel"):
            answer = visitor.client.post(path, files={"files": ("a.png", png())}, headers=headers)
            assert answer.status_code == 403 and "Other websites" in answer.text, (path, headers)
    own = {"origin": place[0], "sec-fetch-site": "same-origin"}
    assert visitor.client.post(f"{PREFIX}/upload", files={"files": ("a.png", png())}, headers=own).status_code == 200


def test_a_page_on_the_network_answers_to_any_name(tmp_path):
    """Its name is what people type; whoever reaches it counts as a stranger."""
    from page.layout import Page
    from page.limits import Limits
    from page.server.middleware import guards

    def hosts(host):
        return guards(Page(Limits(), "fake"), host=host)["app_kwargs"]["middleware"][0].kwargs["hosts"]

    assert hosts("0.0.0.0") is None and hosts("192.168.1.7") is None
    assert hosts(None) == hosts("127.0.0.1") == ()
