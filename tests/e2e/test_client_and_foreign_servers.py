"""Runs the shopper's program against other servers: a redirect, a TLS proxy, hostile text, malformed replies."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from werkzeug.wrappers import Request, Response

from tests.support.stub_server import stub_server
from tests.support.terminal import read_terminal
from tests.support.tiers import ROOT, clean_environment

CERTIFICATE = Path(__file__).parents[1] / "support" / "certificates" / "localhost.pem"
BUY = ["--mode", "3", "--product", "Tux", "--quantity", "1"]
QUERY = ["--mode", "2", "--product", "Tux"]
TUX = '{"data": {"name": "Tux", "price": 25.99, "quantity": 80}}'
# A text with control sequences of terminals and with markup of rich, and its escaped form.
HOSTILE = "\x1b]0;owned\x07\x1b[2J [/admin] [bold]b[/bold] :smile: \x9b2J \u202egnp.exe"
ESCAPED = r"\x1b]0;owned\x07\x1b[2J [/admin] [bold]b[/bold] :smile: \x9b2J \u202egnp.exe"


def client(front: str, *arguments: str, answers: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs the client against the server at `front`, with answers to its questions."""
    return subprocess.run(
        [sys.executable, "-m", "client", *arguments],
        cwd=ROOT,
        env=clean_environment() | {"FRONT": front} | variables,
        input=answers,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def on_terminal(front: str, columns: int, *arguments: str) -> str:
    """Returns the client's output on a terminal of this width, without escape sequences."""
    terminal, end = pty.openpty()
    environment = clean_environment() | {"FRONT": front, "TERM": "xterm", "COLUMNS": str(columns)}
    process = subprocess.Popen(
        [sys.executable, "-m", "client", *arguments], cwd=ROOT, env=environment, stdin=end, stdout=end, stderr=end
    )
    os.close(end)
    shown = read_terminal(terminal)
    assert process.wait(timeout=20) == 0
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())


def error(status: int, message: str) -> Response:
    """Returns an error response in the store's form."""
    return Response(json.dumps({"error": {"code": status, "message": message}}), status)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("arguments", [BUY, QUERY], ids=["buy", "query"])
def test_no_redirect_is_followed(status: int, arguments: list[str]) -> None:
    seen: list[str] = []

    def redirect(request: Request) -> Response:
        seen.append(request.path)
        return Response("", status, {"Location": "https://127.0.0.1/elsewhere"})

    with stub_server(redirect) as port:
        ended = client(f"127.0.0.1:{port}", *arguments)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert f"redirects to https://127.0.0.1/elsewhere (HTTP {status}); set FRONT to" in line
    assert len(seen) == 1


@pytest.mark.parametrize(("status", "flags"), [(404, []), (404, ["--json"]), (503, ["--json"])])
def test_control_characters_of_a_message_are_escaped(status: int, flags: list[str]) -> None:
    with stub_server(lambda _request: error(status, HOSTILE)) as port:
        ended = client(f"127.0.0.1:{port}", *BUY, *flags)
    assert ended.returncode == 1
    assert ESCAPED in ended.stderr and "Traceback" not in ended.stderr
    message = json.loads(ended.stdout)["error"] if flags else ended.stdout
    assert ESCAPED in message or status == 503
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", ended.stdout + ended.stderr)


@pytest.mark.parametrize(("flags", "variables"), [(["--patience", "1"], {}), ([], {"PATIENCE_S": "1"})])
def test_a_request_is_repeated_for_as_long_as_the_patience(flags: list[str], variables: dict[str, str]) -> None:
    """Five times a second. With the default of 10 s there would be some 50 tries."""
    tries: list[str | None] = []

    def answer(request: Request) -> Response:
        tries.append(request.headers.get("Idempotency-Key"))
        return error(503, "not now")

    with stub_server(answer) as port:
        arguments = ["--mode", "3", "--product", "Tux", "--quantity", "1", *flags]
        ended = client(f"127.0.0.1:{port}", *arguments, **variables)
    assert ended.returncode == 1
    assert 1 < len(tries) < 10
    assert len(set(tries)) == 1


def test_the_error_of_a_throttled_buy_does_not_advise_to_repeat_its_key() -> None:
    throttled = error(429, "too many buys were refused lately, and this one could only be; ask again with the same key")
    with stub_server(lambda request: throttled) as port:
        ended = client(f"127.0.0.1:{port}", *BUY)
    assert (ended.returncode, ended.stderr) == (
        1,
        "client: Tux: throttled, because too many buys were refused lately\n",
    )


def test_a_long_message_is_cut(tmp_path: Path) -> None:
    with stub_server(lambda _request: error(404, "x" * 100_000)) as port:
        ended = client(f"127.0.0.1:{port}", *BUY)
    assert len(ended.stderr) < 500


def test_control_characters_of_a_product_name_are_escaped() -> None:
    listed = [{"name": "[b] \u202exuT", "price": 1.5, "quantity": 2}]

    def shop(request: Request) -> Response:
        return Response(json.dumps({"data": listed, "next": None}) if request.path == "/products" else TUX)

    with stub_server(shop) as port:
        ended = client(f"127.0.0.1:{port}", answers="2\nTux\n1\n", PYTHONIOENCODING="utf-8")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "  [b] \\u202exuT: 1.50, 2 in stock\n" in ended.stdout


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "1",
        "[" * 100_000,
        '{"data": []}',
        '{"data": {"name": "Tux", "price": NaN, "quantity": 1}}',
        '{"data": {"name": "Tux", "price": 1e999, "quantity": 1}}',
        '{"data": {"name": "\\ud800", "price": 1, "quantity": 1}}',
        '{"data": {"name": 5, "price": 1, "quantity": 1}}',
    ],
    ids=range(8),
)
def test_a_malformed_reply_is_one_line(body: str) -> None:
    with stub_server(lambda _request: Response(body)) as port:
        for arguments in (QUERY, BUY):
            ended = client(f"127.0.0.1:{port}", *arguments)
            assert (ended.returncode, ended.stderr) == (
                1,
                f"client: the server at http://127.0.0.1:{port} is not this store\n",
            )


def test_the_certificate_of_a_tls_proxy_is_verified() -> None:
    with stub_server(lambda _request: Response(TUX), CERTIFICATE) as port:
        trusted = client(f"https://127.0.0.1:{port}", *QUERY, SSL_CERT_FILE=str(CERTIFICATE))
        unknown = client(f"https://localhost:{port}", *QUERY)
    assert (trusted.returncode, trusted.stderr) == (0, "")
    assert trusted.stdout.startswith("Tux: 25.99, 80 in stock\n")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith(f"client: the certificate of https://localhost:{port} is not to be trusted: self")
    assert unknown.stderr.count("\n") == 1


def test_the_certificate_must_name_the_host() -> None:
    with stub_server(lambda _request: Response(TUX), CERTIFICATE) as port:
        ended = client(f"https://127.0.0.2:{port}", *QUERY, SSL_CERT_FILE=str(CERTIFICATE))
    assert ended.returncode == 1


def test_the_price_paid_is_read_with_the_buys_key() -> None:
    keys: set[str] = set()

    def shop(request: Request) -> Response:
        key = request.headers["Idempotency-Key"]
        if request.method == "POST":
            keys.add(key)
            return Response('{"data": {"order_number": "7"}}')
        return Response('{"data": {"price": 1.25}}') if key in keys else error(404, "order not found")

    with stub_server(shop) as port:
        ended = client(f"127.0.0.1:{port}", "--mode", "3", "--product", "Tux", "--quantity", "2")
    assert ended.returncode == 0
    assert ended.stdout.startswith("order 7: 2 Tux, 2.50\n")


@pytest.mark.parametrize("answer", [error(404, "order not found"), Response("<h1>No</h1>", 403)], ids=["404", "other"])
def test_a_buy_without_a_readable_price_is_reported_as_bought(answer: Response) -> None:
    def shop(request: Request) -> Response:
        return Response('{"data": {"order_number": "7"}}') if request.method == "POST" else answer

    with stub_server(shop) as port:
        ended = client(f"127.0.0.1:{port}", *BUY)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("order 7: 1 Tux\n")


def test_input_that_is_not_utf_8_is_asked_for_again() -> None:
    listed = Response('{"data": [], "next": null}')
    with stub_server(lambda request: listed if request.path == "/products" else Response(TUX)) as port:
        ended = subprocess.run(
            [sys.executable, "-m", "client"],
            cwd=ROOT,
            env=clean_environment() | {"FRONT": f"127.0.0.1:{port}", "PYTHONUTF8": "1"},
            input=b"2\nb\xe4r\nTux\n1\n",
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"  'b\\udce4r' is not UTF-8\nProduct: " in ended.stdout


@pytest.mark.parametrize("columns", [20, 40, 60, 80])
def test_the_figures_fit_into_narrow_terminals(columns: int) -> None:
    with stub_server(lambda _request: error(404, "no such product in the whole wide world")) as port:
        shown = on_terminal(f"127.0.0.1:{port}", columns, *QUERY, "--count", "3")
    assert "\u2026" not in shown
    assert max(len(line) for line in shown.splitlines()) <= columns
    unwrapped = re.sub(r"[\s│]+", "", shown)
    for text in ("requests", "outcomes", "3nosuchproductinthewholewideworld", "meanms", "p50", "p95", "p99"):
        assert text in unwrapped


@pytest.mark.parametrize("columns", ["20", "40"])
def test_in_a_pipe_a_row_is_one_line(columns: str) -> None:
    with stub_server(lambda _request: error(404, "no such product in the whole wide world")) as port:
        ended = client(f"127.0.0.1:{port}", *QUERY, "--count", "3", COLUMNS=columns)
    assert re.search(r"^│ query +│ +3 │ 3 no such product in the whole wide world │", ended.stdout, re.MULTILINE)
