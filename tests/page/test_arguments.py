"""Check the page's command line: options arrive, and mistakes are one sentence before the page is built."""

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from page.arguments import arguments, check_address

ROOT = Path(__file__).parents[2]


def test_what_is_asked_for_arrives():
    words = [
        "--host",
        "0.0.0.0",
        "--port",
        "99",
        "--share",
        "--auth",
        "a:b:c",
        "--model",
        "toy",
        "--trust-visitors",
        "--backend",
        "openvino",
        "--select-model",
        "someone/sam",
    ]
    asked = vars(arguments(words, {}))
    assert asked == {
        "host": "0.0.0.0", "port": 99, "share": True, "auth": ("a", "b:c"), "model": "toy", "mcp": False,
        "backend": "openvino", "select_model": "someone/sam", "open": False, "trust_visitors": True,
    }  # fmt: skip
    assert (arguments([], {}).model, arguments([], {}).backend) == ("builtin", "auto")
    assert arguments(["--mcp"], {}).mcp


def test_gradios_own_variables_count():
    asked = arguments([], {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "8000"})
    assert (asked.host, asked.port) == ("0.0.0.0", 8000)
    with pytest.raises(SystemExit):
        arguments([], {"GRADIO_SERVER_PORT": "http"})


@pytest.mark.parametrize(
    ("given", "host"), [("::1", "[::1]"), ("[::1]", "[::1]"), ("localhost", "localhost"), ("127.0.0.1", "127.0.0.1")]
)
def test_an_ipv6_address_stands_in_brackets(given, host):
    """Otherwise Gradio takes its last part for the port."""
    assert arguments(["--host", given], {}).host == host
    assert arguments([], {"GRADIO_SERVER_NAME": given}).host == host


def refused(capsys, call, *given) -> str:
    with pytest.raises(SystemExit) as stop:
        call(*given)
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and out == "" and err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["--auth", "foo"], "such as ann:long-secret"),
        (["--auth", ":"], "such as ann:long-secret"),
        (["--mcp", "--auth", "ann:long-secret"], "leave one of them out"),
        (["--auth", "ann:"], "such as ann:long-secret"),
        (["--auth", " :secret"], "such as ann:long-secret"),
        (["--port", "70000"], "1 to 65535"),
        (["--port", "0"], "1 to 65535"),
        (["--port", "-1"], "--port"),
        (["--port", "000001234567"], "1 to 65535"),
        (["--port", "http"], "1 to 65535"),
        (["--port", "9" * 5000], "1 to 65535"),
        (["--backend", "tpu"], "--backend"),
        (["--por", "7"], "--por"),
        (["photo.jpg"], "photo.jpg"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, words, advice):
    said = refused(capsys, arguments, words, {})
    assert advice in said and "Traceback" not in said


@pytest.mark.parametrize("host", ["nowhere.invalid", "http://localhost", "192.0.2.7", "a..b", "x" * 300, "1.2.3.4.5"])
def test_an_address_that_this_machine_has_not(capsys, host):
    assert "no address" in refused(capsys, check_address, host, None)


def test_a_port_in_use(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Port {port} is in use" in refused(capsys, check_address, None, port)
        assert f"Port {port} is in use" in refused(capsys, check_address, "localhost", port)
    check_address(None, port)
    check_address("0.0.0.0", port)


def test_the_program_says_it_and_ends_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        words = ["--port", str(taken.getsockname()[1])]
        done = subprocess.run(
            [sys.executable, "app.py", *words], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("app.py: Port") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", [name for name in ("SIGTERM", "SIGHUP", "SIGINT") if hasattr(signal, name)])
def test_nothing_is_left_behind_when_it_is_told_to_end(tmp_path, name):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = f"import signal, tempfile; tempfile.tempdir = {str(tmp_path)!r}\nfrom page.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "--model", "toy", "--port", str(port)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=2).close()
            break
        except OSError:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.1)
    assert list(tmp_path.glob("inpaint-*"))
    process.send_signal(getattr(signal, name))
    said = process.communicate(timeout=60)[0]
    assert not list(tmp_path.glob("inpaint-*")) and "Traceback" not in said
