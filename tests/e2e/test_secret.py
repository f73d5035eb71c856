"""TIER_SECRET between running tiers: requests with and without it, its rotation, and starts that need it."""

from pathlib import Path

import pytest
import requests

from conf.addresses import Address
from conf.health import is_healthy
from conf.settings import TIERS
from tests.e2e.test_run import run
from tests.support.books import Books, query
from tests.support.failed_starts import failed_start
from tests.support.supervised_store import SupervisedStore
from tests.support.tiers import Tiers, free_port, running

NEW, OLD, WRONG = "new-" * 8, "old-" * 8, "bad-" * 8
BEHIND = ("catalog", "order")


def buy(tiers: Tiers, key: str) -> requests.Response:
    """Buys one Tux at the front end under this key."""
    return requests.post(tiers.url("front_end") + "/Tux/1", headers={"Idempotency-Key": key}, timeout=10)


def test_with_a_secret_only_the_front_end_is_open(tmp_path: Path) -> None:
    with running(tmp_path / "data", TIER_SECRET=NEW) as tiers:
        assert requests.get(tiers.url("front_end") + "/products/Tux", timeout=10).status_code == 200
        assert requests.get(tiers.url("front_end") + "/products", timeout=10).status_code == 200
        assert buy(tiers, "k").json() == {"data": {"order_number": "0"}}
        order = requests.get(tiers.url("front_end") + "/orders/0", headers={"Idempotency-Key": "k"}, timeout=10)
        assert order.json()["data"]["name"] == "Tux"
        for name, path in (("catalog", "/Tux/1"), ("order", "/products/Tux/1")):
            assert requests.post(tiers.url(name) + path, timeout=10).status_code == 401
            assert is_healthy(Address("127.0.0.1", tiers.ports[name]))
        books = Books.read(tiers.data_dir)
        output = tiers.log.read_text()
    books.check()
    assert books.products["Tux"] == 79
    assert NEW not in output


def test_a_secret_can_be_rotated_while_the_store_serves(tmp_path: Path) -> None:
    """The tiers behind accept both secrets, then all send the new one, then the old one goes. Every buy succeeds."""
    steps = [("catalog", f"{OLD},{NEW}"), ("order", f"{OLD},{NEW}"), ("order", f"{NEW},{OLD}"), ("front_end", NEW)]
    with running(tmp_path / "data", TIER_SECRET=OLD) as tiers:
        for at, (name, secret) in enumerate([*steps, ("catalog", NEW), ("order", NEW)]):
            tiers.environment["TIER_SECRET"] = secret
            tiers.stop(name)
            tiers.start(name)
            assert buy(tiers, f"k{at}").json() == {"data": {"order_number": str(at)}}
        assert "TIER_SECRET" not in tiers.log.read_text()


@pytest.mark.parametrize("stranger", ["front_end", "order"])
def test_a_tier_with_a_wrong_secret_gets_no_answer_and_logs_the_reason(tmp_path: Path, stranger: str) -> None:
    with running(tmp_path / "data", TIER_SECRET=NEW, FRONT_WORKERS="1") as tiers:
        tiers.stop(stranger)
        tiers.environment["TIER_SECRET"] = WRONG if stranger == "front_end" else f"{WRONG},{NEW}"
        tiers.start(stranger)
        for _ in range(3):
            response = buy(tiers, "k")
            assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        assert query(tiers.data_dir / "order.db", "SELECT * FROM order_log") == [], "no answer is no refusal"
        lines = [line for line in tiers.log.read_text().splitlines() if "TIER_SECRET" in line]
        behind = "order tier" if stranger == "front_end" else "catalog"
        most = 1 if stranger == "front_end" else 3  # the start and the recovery of an order tier may each log one more
        assert 1 <= len(lines) <= most
        assert f"the {behind} does not accept this tier: is TIER_SECRET the same for both?" in lines[0]
        tiers.stop(stranger)
        tiers.environment["TIER_SECRET"] = NEW
        tiers.start(stranger)
        assert buy(tiers, "k").json() == {"data": {"order_number": "0"}}
        books = Books.read(tiers.data_dir)
        assert WRONG not in tiers.log.read_text()
    books.check()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"TIER_SECRET": "s3cret"}, "TIER_SECRET has a value that is not 32 to 256 characters long"),
        ({"TIER_SECRET": ""}, "TIER_SECRET is empty"),
        ({"TIER_SECRET_FILE": "/nowhere"}, "TIER_SECRET_FILE='/nowhere' cannot be read: No such file or directory"),
        ({"TIER_SECRET": NEW, "TIER_SECRET_FILE": "/nowhere"}, "both set"),
        ({"TIER_SECRETS": NEW}, "did you mean TIER_SECRET?"),
    ],
)
def test_an_impossible_secret_stops_every_tier_with_one_line(
    tmp_path: Path, settings: dict[str, str], problem: str
) -> None:
    for tier in (*BEHIND, "front_end"):
        ended = failed_start(tier, DATA_DIR=str(tmp_path / "data"), **settings)
        [line] = (ended.stdout + ended.stderr).splitlines()
        assert (ended.returncode, line.partition(": ")[0]) == (2, "toy store")
        assert problem in line
        assert "s3cret" not in line and NEW not in line


@pytest.mark.parametrize("tier", BEHIND)
def test_a_tier_without_a_secret_does_not_start_on_every_address(tmp_path: Path, tier: str) -> None:
    ended = failed_start(tier, DATA_DIR=str(tmp_path / "data"), **{f"{tier.upper()}_BIND": f"0.0.0.0:{free_port()}"})
    [line] = (ended.stdout + ended.stderr).splitlines()
    assert (ended.returncode, line.startswith(f"toy store: {tier.upper()}_BIND: at 0.0.0.0:")) == (2, True)
    assert not (tmp_path / "data").exists()


def test_a_run_without_a_secret_does_not_start_on_every_address(tmp_path: Path) -> None:
    store = SupervisedStore(tmp_path / "data")
    for tier in BEHIND:
        store.environment[f"{tier.upper()}_BIND"] = f"0.0.0.0:{store.ports[tier]}"
    ended = run(store.environment)
    assert (ended.returncode, ended.stdout) == (2, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("toy store: CATALOG_BIND: at 0.0.0.0:") and "set TIER_SECRET" in line


@pytest.mark.parametrize("guard", [{"TIER_SECRET": NEW}, {"TRUST_NETWORK": "1"}])
def test_with_a_secret_or_a_trusted_network_a_store_listens_everywhere(tmp_path: Path, guard: dict[str, str]) -> None:
    tiers = Tiers(tmp_path / "data", **guard)
    for name, port in tiers.ports.items():
        tiers.environment[f"{TIERS[name].prefix}_BIND"] = f"0.0.0.0:{port}"
    try:
        tiers.start()
        assert buy(tiers, "k").status_code == 200
    finally:
        tiers.stop()
