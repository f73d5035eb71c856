"""Runs `python -m client`, the shopper's program, against three running tiers."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from tests.support.books import Books
from tests.support.stub_server import stub_server
from tests.support.terminal import read_terminal
from tests.support.tiers import ROOT, Tiers, products_file, running
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def tiers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    folder = tmp_path_factory.mktemp("client")
    with running(folder / "data", PRODUCTS=products_file(folder, "Tux 25.99 500", "Whale 34.99 10")) as tiers:
        yield tiers


def client(tiers: Tiers, *arguments: str, answers: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the client against these tiers, with answers to its questions."""
    return subprocess.run(
        [sys.executable, "-m", "client", *arguments],
        cwd=ROOT,
        env=tiers.environment | variables,
        input=answers,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def result(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Returns the figures of a client that ran with --json and succeeded, by kind of request."""
    assert (ended.returncode, ended.stderr) == (0, "")
    kinds = json.loads(ended.stdout)["kinds"]
    assert isinstance(kinds, dict)
    return kinds


def test_mode_3_buys_as_often_as_asked(tiers: Tiers) -> None:
    before = Books.read(tiers.data_dir)
    arguments = ["--mode", "3", "--product", "Tux", "--quantity", "1", "--count", "100", "--clients", "5"]
    kinds = result(client(tiers, *arguments, "--seed", "1", "--json"))
    assert kinds["buy"]["requests"] == 100
    assert kinds["buy"]["outcomes"] == {"bought": 100}
    assert kinds["buy"]["latency_ms"].keys() == {"mean", "p50", "p95", "p99", "max"}
    after = Books.read(tiers.data_dir)
    after.check()
    assert len(after.orders) - len(before.orders) == 100
    assert len({key for _, key, *_ in after.orders}) == len(after.orders), "one key a buy, also with the same seed"


def test_mode_3_counts_refusals_by_reason(tiers: Tiers) -> None:
    kinds = result(client(tiers, "--mode", "3", "--product", "Whale", "--quantity", "4", "--count", "4", "--json"))
    assert kinds["buy"]["outcomes"] == {"bought": 2, "out of stock": 2}
    kinds = result(client(tiers, "--mode", "3", "--product", "Unicorn", "--quantity", "4", "--count", "2", "--json"))
    assert kinds["buy"]["outcomes"] == {"product not found": 2}


def test_mode_2_queries_as_often_as_asked(tiers: Tiers) -> None:
    kinds = result(client(tiers, "--mode", "2", "--product", "Tux", "--count", "7", "--clients", "3", "--json"))
    assert kinds.keys() == {"query"}
    assert kinds["query"]["outcomes"] == {"found": 7}


def test_mode_1_buys_with_probability_p(tiers: Tiers) -> None:
    arguments = ["--mode", "1", "--quantity", "1", "--count", "20", "--seed", "7", "--json"]
    for never in (client(tiers, *arguments, "--p", "0"), client(tiers, *arguments, p="0")):
        kinds = result(never)
        assert kinds.keys() == {"query"}
        assert kinds["query"]["requests"] == 20
    always = result(client(tiers, *arguments, "--p", "1"))
    assert always["query"]["requests"] == 20
    assert 0 < always["buy"]["requests"] <= 20, "all but those of products without stock"


@pytest.mark.parametrize(
    ("answers", "last_question"),
    [
        (["1", "0.5", "3"], "Rounds: "),
        (["2", "Tux", "3"], "Times: "),
        (["3", "Tux", "1", "3"], "Times: "),
        (["4", "3", "a/b", "Tux", "none", "1", "0", "3"], "Times: "),
    ],
)
def test_without_flags_it_asks_for_them(tiers: Tiers, answers: list[str], last_question: str) -> None:
    ended = client(tiers, answers="\n".join(answers) + "\n")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert last_question in ended.stdout
    assert "p95" in ended.stdout


def test_an_input_that_ends_early_is_one_line(tiers: Tiers) -> None:
    ended = client(tiers, answers="3\nTux\n")
    assert ended.returncode == 2
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        "--mode 4",
        "--mode 1",
        "--mode 2",
        "--mode 3 --product Tux",
        "--mode 3 --product Tux --quantity 0",
        "--mode 2 --product Tux --count 0",
        "--mode 2 --product Tux --clients 0",
        "--mode 1 --p 2",
        "--nonsense",
    ],
)
def test_wrong_usage_is_exit_code_2(tiers: Tiers, arguments: str) -> None:
    ended = client(tiers, *arguments.split())
    assert ended.returncode == 2
    assert "client: error:" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert json.loads(client(tiers, *arguments.split(), "--json").stdout)["error"] in ended.stderr


def test_help_lists_modes_and_exit_codes(tiers: Tiers) -> None:
    text = client(tiers, "--help").stdout
    for word in ("mode 1", "mode 2", "mode 3", "--seed", "--json", "--clients", "Exit code"):
        assert word in text


def test_a_store_that_is_down_is_one_line(tmp_path: Path) -> None:
    ended = client(Tiers(tmp_path / "data"), "--mode", "2", "--product", "Tux")
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "connection refused" in line
    assert "make run" in line


def test_ctrl_c_prints_the_figures_so_far(tiers: Tiers) -> None:
    asked: list[str] = []

    def answer(request: Request) -> Response:
        asked.append(request.path)
        return Response('{"data": {"name": "Tux", "price": 25.99, "quantity": 3}}', content_type="application/json")

    with stub_server(answer) as port:
        process = subprocess.Popen(
            [sys.executable, "-m", "client", "--mode", "2", "--product", "Tux", "--count", "1000000", "--clients", "3"],
            cwd=ROOT,
            env=tiers.environment | {"FRONT": f"127.0.0.1:{port}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until("it shops", lambda: len(asked) > 100)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")
    assert "found" in output


def test_a_long_series_shows_its_progress_on_a_terminal(tiers: Tiers) -> None:
    terminal, end = pty.openpty()
    arguments = ["--mode", "2", "--product", "Tux", "--count", "300"]
    process = subprocess.Popen(
        [sys.executable, "-m", "client", *arguments],
        cwd=ROOT,
        env=tiers.environment | {"TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=end,
    )
    os.close(end)
    shown = read_terminal(terminal)
    assert process.wait(timeout=60) == 0
    assert b"/300" in shown


@pytest.mark.parametrize(
    "arguments", ["--mode 1 --p 1", "--mode 2 --product Tux", "--mode 3 --product Tux --quantity 1"]
)
def test_a_foreign_server_is_one_line(tiers: Tiers, arguments: str) -> None:
    with stub_server(lambda _request: Response("<h1>hello</h1>")) as port:
        ended = client(tiers, *arguments.split(), FRONT=f"127.0.0.1:{port}")
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "is not this store" in line


@pytest.mark.parametrize("after_s", [0.1, 0.2, 0.3])
def test_an_early_ctrl_c_leaves_no_traceback(tiers: Tiers, after_s: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "client", "--mode", "2", "--product", "Tux", "--count", "100000"],
        cwd=ROOT,
        env=tiers.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    # On a busy machine Python may still be starting, and then prints a traceback of its own.
    assert b"Traceback" not in errors or str(ROOT / "client").encode() not in errors


def test_a_closed_pipe_leaves_no_traceback(tiers: Tiers) -> None:
    command = f"{sys.executable} -m client --mode 2 --product Tux --json | true"
    ended = subprocess.run(command, shell=True, cwd=ROOT, env=tiers.environment, capture_output=True, timeout=60)
    assert b"Traceback" not in ended.stderr
    assert b"BrokenPipe" not in ended.stderr


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_report_that_cannot_be_written_is_one_line(tiers: Tiers, flags: list[str]) -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "client", "--mode", "2", "--product", "Tux", *flags],
            cwd=ROOT,
            env=tiers.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (1, "client: [Errno 28] No space left on device\n")


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (
            503,
            '{"error": {"code": 503, "message": "the catalog does not answer, try again"}}',
            "client: the store at {url} answers: the catalog does not answer, try again; try again later\n",
        ),
        (502, "<h1>Bad Gateway</h1>", "client: the store at {url} answers: HTTP 502; try again later\n"),
        (404, "<h1>Not Found</h1>", "client: the server at {url} is not this store\n"),
    ],
    ids=["busy", "proxy", "elsewhere"],
)
def test_an_error_response_is_one_line(tiers: Tiers, status: int, body: str, line: str) -> None:
    with stub_server(lambda _request: Response(body, status)) as port:
        address = f"127.0.0.1:{port}"
        ended = client(tiers, "--mode", "3", "--product", "Tux", "--quantity", "1", "--json", FRONT=address)
    assert (ended.returncode, ended.stderr) == (1, line.format(url=f"http://{address}"))


def test_a_buy_is_repeated_under_its_own_key(tiers: Tiers) -> None:
    keys: list[str] = []

    def busy_at_first(request: Request) -> Response:
        """Answers 503 to the first try of each key."""
        key = request.headers["Idempotency-Key"]
        status = 200 if key in keys else 503
        keys.append(key)
        return Response('{"data": {"order_number": "0"}}', status)

    with stub_server(busy_at_first) as port:
        arguments = ["--mode", "3", "--product", "Tux", "--quantity", "1", "--count", "2", "--json"]
        kinds = result(client(tiers, *arguments, FRONT=f"127.0.0.1:{port}"))
    assert kinds["buy"]["outcomes"] == {"bought": 2}
    first, again, second, again_too = keys
    assert (first, second) == (again, again_too)
    assert first != second


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("--mode 2 --product Unicorn", "Unicorn: product not found"),
        ("--mode 3 --product Unicorn --quantity 1", "Unicorn: product not found"),
        ("--mode 3 --product Tux --quantity 100000", "Tux: out of stock"),
    ],
)
def test_a_refusal_of_the_only_request_is_exit_code_1(tiers: Tiers, arguments: str, error: str) -> None:
    ended = client(tiers, *arguments.split())
    assert (ended.returncode, ended.stderr) == (1, f"client: {error}\n")
    ended = client(tiers, *arguments.split(), "--json")
    assert (ended.returncode, json.loads(ended.stdout)["error"]) == (1, error)


def test_a_shopper_sees_the_receipt_of_a_buy(tiers: Tiers) -> None:
    arguments = ["--mode", "3", "--product", "Tux", "--quantity", "3"]
    text = client(tiers, *arguments).stdout
    number, *_ = Books.read(tiers.data_dir).orders[-1]
    assert text.splitlines()[0] == f"order {number}: 3 Tux, 77.97"
    order = json.loads(client(tiers, *arguments, "--json").stdout)["order"]
    assert order == {"number": number + 1, "name": "Tux", "quantity": 3, "price": 25.99, "total": 77.97}
    series = [*arguments, "--count", "4"]
    assert client(tiers, *series).stdout.startswith(f"The first order is {number + 2}, the last {number + 5}.\n")
    assert json.loads(client(tiers, *series, "--json").stdout)["orders"] == {"first": number + 6, "last": number + 9}


def test_a_shopper_sees_price_and_stock(tiers: Tiers) -> None:
    stock = Books.read(tiers.data_dir).products["Tux"]
    assert client(tiers, "--mode", "2", "--product", "Tux").stdout.startswith(f"Tux: 25.99, {stock} in stock\n")
    product = json.loads(client(tiers, "--mode", "2", "--product", "Tux", "--json").stdout)["product"]
    assert product == {"name": "Tux", "price": 25.99, "quantity": stock}


@pytest.mark.parametrize("answers", ["1\n0.5\n1\n", "2\nTux\n1\n", "3\nTux\n1\n1\n"])
def test_the_menu_shows_the_products_before_the_first_question(tiers: Tiers, answers: str) -> None:
    stock = Books.read(tiers.data_dir).products
    text = client(tiers, answers=answers).stdout
    before, _, _ = text.partition("Mode (1, 2, 3): ")
    assert f"  Tux: 25.99, {stock['Tux']} in stock\n" in before
    assert "  Whale: 34.99, " in before


def test_wrong_settings_that_the_client_does_not_need_are_ignored(tiers: Tiers) -> None:
    wrong = {"p": "abc", "CATALOG": "a b", "ORDER_BIND": ":", "TIER_SECRET_FILE": "/nowhere", "DATA_DIR": "~nobody/x"}
    for arguments in ("--help", "--mode 2 --product Tux", "--mode 3 --product Tux --quantity 1", "--mode 1 --p 0.5"):
        ended = client(tiers, *arguments.split(), **wrong)
        assert (ended.returncode, ended.stderr) == (0, "")
    ended = client(tiers, "--mode", "1", "--json", **wrong)
    assert ended.returncode == 2
    assert ended.stderr == "client: p='abc' is not a probability from 0 to 1\n"
    assert json.loads(ended.stdout) == {"error": "p='abc' is not a probability from 0 to 1"}
    ended = client(tiers, "--mode", "2", "--product", "Tux", "--json", FRONT="a b")
    assert ended.returncode == 2 and json.loads(ended.stdout)["error"].startswith("FRONT='a b' is not")


def test_a_buy_succeeds_though_its_report_is_lost(tiers: Tiers) -> None:
    before = len(Books.read(tiers.data_dir).orders)
    for to, errors in ((">&-", ""), (">/dev/full", "no report (No space left on device)"), (">&- 2>&- <&-", "")):
        ended = subprocess.run(
            ["sh", "-c", f'exec "$0" -m client --mode 3 --product Tux --quantity 1 {to}', sys.executable],
            cwd=ROOT,
            env=tiers.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0
        assert errors in ended.stderr and ended.stderr.count("\n") == bool(errors)
    assert len(Books.read(tiers.data_dir).orders) == before + 3
