"""Upgrades of a running store: by SIGUSR2, by SIGHUP, and by a restart of a tier under supervisord."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.books import Books, query
from tests.support.release import Release
from tests.support.shoppers import Shoppers, session
from tests.support.supervised_store import SupervisedStore, command_of
from tests.support.tiers import NAMES, Tiers, children
from tests.support.waiting import wait_until

# The tiers behind come first: a new tier may send a call that only a new tier behind it knows.
ORDER_OF_UPGRADE = ("catalog", "order", "front_end")
BUYS = [(f"key-{number}", "Ticket", 1) for number in range(600)]


class ShoppersWithoutKeepAlive(Shoppers):
    """Shoppers that open a connection for each buy, so a worker must accept connections at every instant."""

    def _buy_all(self, buys: list[tuple[str, str, int]]) -> None:
        for key, product, quantity in buys:
            with session() as shop:
                self.buy(shop, key, product, quantity)


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path / "release")


@contextmanager
def running(
    release: Release, data_dir: Path, *names: str, program: Sequence[str] = Tiers.program, **settings: str
) -> Iterator[Tiers]:
    """Runs these tiers (by default all) from the code of a release."""
    products = data_dir.with_name("products.txt")
    products.write_text("Ticket 50 1000\n")
    tiers = Tiers(data_dir, PRODUCTS=str(products), **settings)
    tiers.root, tiers.program = release.root, program
    try:
        tiers.start(*names)
        yield tiers
    finally:
        tiers.stop()


def status(tiers: Tiers | SupervisedStore, name: str) -> str:
    """Returns the status that the tier reports: "ok", or "new" in the next release."""
    return str(requests.get(tiers.url(name) + "/health", timeout=10).json()["data"]["status"])


def is_running(pid: int) -> bool:
    """Returns whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def start_successor(tiers: Tiers, name: str, master: int) -> int:
    """Sends SIGUSR2 to a master, waits until its successor serves, and returns the successor's process id."""
    served = tiers.log.read_text().count(f"{name} serves ")
    os.kill(master, signal.SIGUSR2)

    def serves() -> bool:
        return tiers.log.read_text().count(f"{name} serves ") > served

    wait_until(f"the successor of {name} serves", serves, details=tiers.log.read_text)
    wait_until("it has a worker", lambda: any(children(pid) for pid in children(master)))
    [successor] = [pid for pid in children(master) if children(pid)]
    return successor


def end(pid: int) -> None:
    """Sends SIGTERM to a master, and waits until it has ended."""
    os.kill(pid, signal.SIGTERM)
    wait_until("the master is gone", lambda: not is_running(pid))


# gunicorn by its script. A master starts its successor by the command by which it was started itself.
BY_PATH = (str(Path(sys.executable).with_name("gunicorn")),)


@pytest.mark.parametrize("worker", ["store", "gthread"])
@pytest.mark.parametrize("program", [Tiers.program, BY_PATH], ids=["python -m gunicorn", "gunicorn"])
def test_a_successor_takes_over_and_every_shopper_is_served(
    release: Release, tmp_path: Path, program: Sequence[str], worker: str
) -> None:
    with running(release, tmp_path / "data", program=program, WORKER=worker) as tiers:
        shoppers = ShoppersWithoutKeepAlive(tiers.url("front_end"))
        masters: dict[str, int] = {}

        def upgrade() -> None:
            release.upgrade()
            for round_, name in enumerate(ORDER_OF_UPGRADE, 1):
                shoppers.wait_until_answered(100 * round_)
                masters[name] = start_successor(tiers, name, tiers.master(name))
                end(tiers.master(name))
                assert {status(tiers, name) for _ in range(10)} == {"new"}

        shoppers.share(BUYS, 8, meanwhile=upgrade)
        for name, master in masters.items():  # a second upgrade, as by the release after
            again = start_successor(tiers, name, master)
            end(master)
            assert status(tiers, name) == "new"
            end(again)
        log = tiers.log.read_text()
    assert "Traceback" not in log and "ERROR" not in log
    assert (shoppers.resets, shoppers.statuses) == (0, {200})
    books = Books.read(tmp_path / "data")
    shoppers.history.check(books)
    assert [number for number, *_ in books.orders] == list(range(len(BUYS)))


def test_a_successor_may_end_and_another_may_start(release: Release, tmp_path: Path) -> None:
    with running(release, tmp_path / "data", "front_end") as tiers:
        release.upgrade()
        master = tiers.master("front_end")
        for _ in range(2):
            end(start_successor(tiers, "front_end", master))
            assert {status(tiers, "front_end") for _ in range(10)} == {"ok"}
            wait_until("the master has only its workers", lambda: len(children(master)) == 2)


def test_a_pid_file_names_the_master_that_serves(release: Release, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with running(release, tmp_path / "data", "front_end", program=(*Tiers.program, "--pid", str(file))) as tiers:
        release.upgrade()
        master = int(file.read_text())
        successor = start_successor(tiers, "front_end", master)
        assert int(file.read_text()) == master == tiers.master("front_end")
        end(master)
        wait_until("the file names the successor", lambda: file.exists() and int(file.read_text()) == successor)
        assert status(tiers, "front_end") == "new"
        end(successor)
        assert not file.exists()


def test_a_successor_that_cannot_start_leaves_the_master_as_it_is(release: Release, tmp_path: Path) -> None:
    with running(release, tmp_path / "data", "catalog") as tiers:
        release.make_unloadable("wsgi_apps/catalog.py")
        master, workers = tiers.master("catalog"), tiers.workers("catalog")
        os.kill(master, signal.SIGUSR2)
        wait_until("the successor has failed", lambda: "loaded too late" in tiers.log.read_text())
        wait_until("it is gone", lambda: tiers.workers("catalog") == workers)
        assert status(tiers, "catalog") == "ok"


@pytest.mark.parametrize("name", ["catalog", "order"])
def test_a_successor_migrates_no_database_under_the_master(release: Release, tmp_path: Path, name: str) -> None:
    with running(release, tmp_path / "data", name) as tiers:
        (release.root / "migrations" / name / "0099_next.sql").write_text("CREATE TABLE next (id INTEGER) STRICT;")
        release.upgrade()
        master, workers = tiers.master(name), tiers.workers(name)
        os.kill(master, signal.SIGUSR2)
        wait_until("it is refused", lambda: "and this release needs" in tiers.log.read_text())
        wait_until("it is gone", lambda: tiers.workers(name) == workers)
        assert status(tiers, name) == "ok"
        tiers.stop(name)
        tiers.start(name)
        assert status(tiers, name) == "new"
        assert query(tiers.data_dir / f"{name}.db", "SELECT * FROM next") == []
        assert "Traceback" not in tiers.log.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_reload_serves_the_loaded_code_and_warns_of_changed_files(
    release: Release, tmp_path: Path, name: str
) -> None:
    with running(release, tmp_path / "data", name) as tiers:
        release.upgrade()
        release.make_unloadable(*(str(file.relative_to(release.root)) for file in release.root.rglob("*.py")))
        master = tiers.master(name)
        tiers.reload(name)
        assert status(tiers, name) == "ok"
        before = tiers.workers(name)
        os.kill(before[0], signal.SIGKILL)  # the master forks its replacement from the loaded code
        wait_until("the killed worker is gone", lambda: before[0] not in tiers.workers(name))
        wait_until("it is replaced", lambda: len(tiers.workers(name)) == len(before))
        for _ in range(20):
            assert status(tiers, name) == "ok"
        [line] = [line for line in tiers.log.read_text().splitlines() if "files have changed" in line]
    assert f"{name}: " in line
    assert line.endswith(f"a restart, or SIGUSR2 to process {master}, the new")


def test_a_reload_reads_the_secret_for_requests_and_for_the_recovery(release: Release, tmp_path: Path) -> None:
    secret, (old, new) = tmp_path / "secret", ("old-secret" * 4, "new-secret" * 4)
    secret.write_text(old)
    with running(release, tmp_path / "data", TIER_SECRET_FILE=str(secret)) as tiers:
        for text in (f"{new},{old}", new):
            secret.write_text(text)
            for name in NAMES:
                tiers.reload(name)
        url, headers = tiers.url("order") + "/products/Ticket/1", {"Authorization": f"Bearer {new}"}
        assert requests.post(url, headers=headers | {"Idempotency-Key": "a"}, timeout=10).status_code == 200
        tiers.stop("catalog")
        assert requests.post(url, headers=headers | {"Idempotency-Key": "b"}, timeout=10).status_code == 503
        tiers.start("catalog")
        assert [key for _, key, *_ in Books.at_rest(tiers.data_dir).orders] == ["a", "b"]
        assert requests.post(tiers.url("front_end") + "/Ticket/1", timeout=10).status_code == 200


@pytest.mark.parametrize("is_missing", [False, True], ids=["empty", "missing"])
def test_an_empty_or_missing_secret_file_does_not_end_a_tier(
    release: Release, tmp_path: Path, is_missing: bool
) -> None:
    """At a reload and at the end of a worker: its successor uses the secret that the master has read last."""
    secret, (old, new) = tmp_path / "secret", ("old-secret" * 4, "new-secret" * 4)
    secret.write_text(old)
    with running(release, tmp_path / "data", "order", TIER_SECRET_FILE=str(secret)) as tiers:
        secret.write_text(new)
        tiers.reload("order")
        secret.write_text("")
        if is_missing:
            secret.unlink()
        tiers.reload("order")
        assert_knows(tiers, new, old)
        [worker] = tiers.workers("order")
        os.kill(worker, signal.SIGKILL)
        wait_until("its worker is another", lambda: worker not in tiers.workers("order"))
        tiers.wait_until_it_answers("order")
        assert_knows(tiers, new, old)
        lines = [line for line in tiers.log.read_text().splitlines() if "TIER_SECRET_FILE" in line]
        told = "; this worker uses the secret that its master has read before"
        assert [line.endswith(told) for line in lines] == [True, True]


def assert_knows(tiers: Tiers, secret: str, former_secret: str) -> None:
    """Asserts that the order tier accepts the secret, and no longer the former one."""
    for text, status in ((secret, 404), (former_secret, 401)):
        reply = requests.get(tiers.url("order") + "/orders/0", headers={"Authorization": f"Bearer {text}"}, timeout=10)
        assert reply.status_code == status


def test_a_reload_of_unchanged_code_logs_nothing(release: Release, tmp_path: Path) -> None:
    with running(release, tmp_path / "data", "front_end") as tiers:
        tiers.reload("front_end")
        assert "changed" not in tiers.log.read_text()


def test_under_supervisord_a_restart_loads_new_code_and_sigusr2_does_not(release: Release, tmp_path: Path) -> None:
    products = tmp_path / "products.txt"
    products.write_text("Ticket 50 1000\n")
    store = SupervisedStore(tmp_path / "data", PRODUCTS=str(products))
    store.root = release.root
    with store:
        shoppers = ShoppersWithoutKeepAlive(store.url("front_end"), deadline_s=60.0)

        def restart(number: int, name: str) -> None:
            shoppers.wait_until_answered(100 * number)
            master = store.master(name)
            workers = children(master)
            os.kill(master, signal.SIGUSR2)
            wait_until("the log refuses SIGUSR2", lambda: store.output().count("SIGUSR2 is of no use here") == number)
            wait_until("no successor is left", lambda: children(master) == workers)
            assert (store.master(name), status(store, name)) == (master, "ok")
            end(master)
            wait_until("the supervisor has started it", lambda: is_started(store, name, master))
            store.wait_until_all_answer()
            assert status(store, name) == "new"

        def upgrade() -> None:
            release.upgrade()
            for number, name in enumerate(ORDER_OF_UPGRADE, 1):
                restart(number, name)

        shoppers.share(BUYS, 8, meanwhile=upgrade)
        assert "Traceback" not in store.output()
    books = Books.read(tmp_path / "data")
    shoppers.history.check(books)
    assert [number for number, *_ in books.orders] == list(range(len(BUYS)))
    assert shoppers.statuses <= {200, 503}


def is_started(store: SupervisedStore, name: str, before: int) -> bool:
    """Returns whether supervisord has started a gunicorn for the tier other than the process `before`."""
    try:
        return store.master(name) != before and "gunicorn" in command_of(store.master(name))
    except (ValueError, OSError):  # supervisord has not restarted it yet
        return False
