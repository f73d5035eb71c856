"""The image and compose.yaml on a Docker engine: built, attacked, restarted, taken down and up, removed.

Without an engine these tests fail instead of being skipped. They use a project, an image and a port of their own beside
any store on this machine, and leave only the engine's build cache behind.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from conf.settings import TIERS
from tests.compose.engine import compose_command, inspect, is_healthy, output_of
from tests.support.tiers import NAMES, ROOT, free_port
from tests.support.waiting import wait_until

BEHIND = ("catalog", "order")
INITIAL_STOCK = {"Bird": 98, "Elephant": 87, "Tux": 80, "Whale": 94}
TIMEOUT_S = 30.0


class ComposeStore:
    """A compose project, and the answer of its shop to each key so far."""

    def __init__(self, compose: list[str], port: int, desk_port: int) -> None:
        self.name = f"toystore-test-{os.getpid()}"
        self.url = f"http://127.0.0.1:{port}"
        self.desk = f"http://127.0.0.1:{desk_port}"
        self.answers: dict[str, tuple[str, int, Any]] = {}  # key: product, quantity, answer
        self._compose = [*compose, "-f", str(ROOT / "compose.yaml"), "-p", self.name]
        ports = {"FRONT_PORT": str(port), "BACK_OFFICE_PORT": str(desk_port), "BACK_OFFICE": self.desk}
        self._environ = {**os.environ, "IMAGE": self.name, **ports}
        self._session = requests.Session()
        self._session.trust_env = False

    def compose(self, *arguments: str) -> str:
        """Runs a command of compose on the project, and returns its output."""
        return output_of(*self._compose, *arguments, environ=self._environ)

    def up(self, *options: str) -> None:
        """Starts the project. Prints the logs of the containers when that fails."""
        try:
            self.compose("up", "--detach", *options)
        except pytest.fail.Exception:
            print(self.logs())
            raise

    def remove(self) -> None:
        """Removes the containers, the volumes and the image."""
        self._session.close()
        self.compose("down", "--volumes", "--rmi", "all")

    def container(self, tier: str) -> str:
        """Returns the id of the tier's container."""
        return self.compose("ps", "-q", tier).strip()

    def kill(self, container: str) -> None:
        """Sends SIGKILL to the main process. The engine does not restart a container after `docker kill`."""
        script = f"import os; os.kill({inspect(container)['State']['Pid']}, 9)"
        # A helper container sees the engine's processes: this process may lack the rights, or run on another machine.
        helper = ["docker", "run", "--rm", "--pid=host", "--network=none", "--user=0", self.name]
        output_of(*helper, "python", "-c", script)

    def wait_until(self, what: str, holds: Callable[[], bool]) -> None:
        """Waits until a condition holds. A failure shows the logs of the containers."""
        wait_until(what, holds, timeout_s=TIMEOUT_S, every_s=0.2, details=self.logs)

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> requests.Response:
        """Repeats a request after connection errors and 5xx responses, and returns the first other response."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                response = self._session.request(method, self.url + path, headers=headers, timeout=10)
                if response.status_code < 500:
                    return response
                problem = response.text
            except requests.RequestException as error:
                problem = str(error)
            if time.monotonic() > deadline:
                pytest.fail(f"{method} {path} had no answer, at last: {problem}\n{self.logs()}", pytrace=False)
            time.sleep(0.2)

    def get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        """Returns the data of a GET that must succeed."""
        response = self.ask("GET", path, headers)
        assert response.status_code == 200, f"GET {path}: {response.text}"
        return response.json()["data"]

    def post(self, product: str, quantity: int, key: str) -> requests.Response:
        """Buys under this key, and returns the response."""
        return self.ask("POST", f"/{product}/{quantity}", {"Idempotency-Key": key})

    def buy(self, product: str, quantity: int = 1) -> Any:
        """Buys under a new key, and returns the answer."""
        key = f"key-{len(self.answers)}"
        answer = self.post(product, quantity, key).json()
        self.answers[key] = product, quantity, answer
        return answer

    def buy_next(self) -> None:
        """Buys one piece, of each product in turn."""
        self.buy(list(INITIAL_STOCK)[len(self.answers) % len(INITIAL_STOCK)])

    def stock(self) -> dict[str, int]:
        return {product["name"]: product["quantity"] for product in self.get("/products")}

    def logs(self) -> str:
        return self.compose("logs", "--tail=40")


@pytest.fixture(scope="module")
def store() -> Iterator[ComposeStore]:
    """Builds the image, starts the project, and removes both after the last test."""
    store = ComposeStore(compose_command(), free_port(), free_port())
    try:
        store.up("--build")
        assert store.stock() == INITIAL_STOCK
        yield store
    finally:
        store.remove()


def test_only_shop_and_desk_are_published_and_only_on_loopback(store: ComposeStore) -> None:
    published = {tier: inspect(store.container(tier))["HostConfig"]["PortBindings"] or {} for tier in TIERS}
    shop, desk = ({"HostIp": "127.0.0.1", "HostPort": url.rpartition(":")[2]} for url in (store.url, store.desk))
    behind: dict[str, Any] = {"catalog": {}, "order": {}}
    assert published == behind | {"front_end": {"6060/tcp": [shop]}, "back_office": {"6061/tcp": [desk]}}


def test_the_owner_logs_in_by_a_link_and_the_front_end_has_no_secret(store: ComposeStore) -> None:
    link = store.compose("exec", "-T", "back_office", "python", "-m", "admin", "login").strip()
    assert link.startswith(f"{store.desk}/login?token=")
    opened = [requests.get(link, headers={"Accept": "text/html"}, allow_redirects=False, timeout=10) for _ in range(2)]
    assert [response.status_code for response in opened] == [303, 403]
    secret = store.compose("exec", "-T", "back_office", "cat", "/owner/secret").strip()
    for tier in TIERS:
        given = inspect(store.container(tier))
        assert secret not in json.dumps(given)
        assert ("/owner" in [mount["Destination"] for mount in given["Mounts"]]) == (tier != "front_end")


def test_the_tiers_behind_know_the_owner(store: ComposeStore) -> None:
    """The back office is ready, and its calls are not refused: the three have the same secret."""
    store.wait_until("the back office is ready", lambda: requests.get(f"{store.desk}/ready", timeout=10).ok)
    assert "does not accept" not in store.logs()


@pytest.mark.parametrize("tier", BEHIND)
def test_a_tier_behind_the_front_end_is_cut_off(store: ComposeStore, tier: str) -> None:
    networks = inspect(store.container(tier))["NetworkSettings"]["Networks"]
    assert [json.loads(output_of("docker", "network", "inspect", name))[0]["Internal"] for name in networks] == [True]


def test_a_foreign_host_name_is_refused(store: ComposeStore) -> None:
    """Otherwise a page could buy by DNS rebinding."""
    for host, status in (("rebound.evil.example", 403), ("localhost", 200), ("127.0.0.1:80", 200), ("front_end", 200)):
        assert store.ask("GET", "/products", {"Host": host}).status_code == status


# Prints the privileges of the main process of a container as JSON.
PRIVILEGES = """
import json, os
status = dict(line.strip().split(":\\t", 1) for line in open("/proc/1/status"))
print(json.dumps({
    "is root": os.getuid() == 0 or os.getgid() == 0,
    "capabilities": max(int(value, 16) for name, value in status.items() if name.startswith("Cap")),
    "no new privileges": status["NoNewPrivs"],
    "may write": [path for path in ("/", "/app", "/data", "/opt/venv", "/owner", "/tmp") if os.access(path, os.W_OK)],
}))
"""


@pytest.mark.parametrize("tier", TIERS)
def test_a_container_can_do_only_what_its_tier_needs(store: ComposeStore, tier: str) -> None:
    container = store.container(tier)
    assert json.loads(output_of("docker", "exec", container, "python", "-c", PRIVILEGES)) == {
        "is root": False,
        "capabilities": 0,
        "no new privileges": "1",
        "may write": {"catalog": ["/data", "/owner", "/tmp"], "order": ["/data", "/tmp"]}.get(tier, ["/tmp"]),
    }
    given = inspect(container)["HostConfig"]
    assert given["ReadonlyRootfs"] and 0 < given["Memory"] <= 2**30 and 0 < given["PidsLimit"] <= 1024


def test_buys_are_numbered_from_zero_without_a_gap(store: ComposeStore) -> None:
    for _ in range(10):
        store.buy_next()
    assert_nothing_is_lost(store)


@pytest.mark.parametrize("tier", NAMES)
def test_a_killed_container_is_restarted_and_no_buy_is_lost(store: ComposeStore, tier: str) -> None:
    container = store.container(tier)
    restarts = inspect(container)["RestartCount"]
    while_shopping(store, lambda: store.kill(container))
    store.wait_until(f"{tier} was restarted", lambda: inspect(container)["RestartCount"] == restarts + 1)
    store.wait_until(f"{tier} is healthy", lambda: is_healthy(container))
    assert_nothing_is_lost(store)


@pytest.mark.parametrize("tier", NAMES)
def test_a_restarted_container_loses_no_buy(store: ComposeStore, tier: str) -> None:
    container = store.container(tier)
    before = inspect(container)["State"]["StartedAt"]
    while_shopping(store, lambda: store.compose("restart", tier))
    assert inspect(container)["State"]["StartedAt"] > before
    store.wait_until(f"{tier} is healthy", lambda: is_healthy(container))
    assert_nothing_is_lost(store)


def test_down_and_up_keeps_stock_orders_and_refused_buys(store: ComposeStore) -> None:
    assert "data" in store.buy("Tux")
    assert store.buy("Tux", 81)["error"]["message"] == "out of stock"
    store.compose("down")
    store.up()
    assert_nothing_is_lost(store)


AUDIT_AND_COPY = """
set -e
ln -s /catalog/catalog.db /order/order.db /tmp
DATA_DIR=/tmp python -m admin audit >&2
DATA_DIR=/tmp python -m admin backup /tmp/copy >&2
DATA_DIR=/tmp/copy python -m admin status --json
"""


def test_the_books_are_audited_and_copied_while_the_store_runs(store: ComposeStore) -> None:
    """A container with both volumes audits and copies them, as docs/books.md shows."""
    store.buy_next()
    volumes = [f"--volume={store.name}_{tier}:/{tier}" for tier in BEHIND]
    copies = []

    def copy() -> None:
        copies.append(json.loads(output_of("docker", "run", "--rm", *volumes, store.name, "sh", "-c", AUDIT_AND_COPY)))

    before = len(store.answers)
    while_shopping(store, copy)
    [state] = copies
    assert before <= state["orders"] + state["refused"] <= len(store.answers)
    assert_nothing_is_lost(store)


def test_the_container_of_the_order_tier_audits_and_backs_up_both_databases(store: ComposeStore) -> None:
    """The owner's desk asks it to. It finds both files by the links in /books, and keeps backups in a volume."""
    store.buy_next()
    admin = ("docker", "exec", store.container("order"), "env", "DATA_DIR=/books", "python", "-m", "admin")
    assert json.loads(output_of(*admin, "audit", "--json"))["clean"] is True
    assert json.loads(output_of(*admin, "backup", "/backups/today", "--json"))["clean"] is True
    record = output_of("docker", "exec", store.container("order"), "cat", "/data/audit.json")
    assert json.loads(record)["is_clean"] is True
    assert_nothing_is_lost(store)


BACKUP = """
set -e
ln -s /catalog/catalog.db /order/order.db /tmp
DATA_DIR=/tmp python -m admin backup /data
"""


def test_lost_volumes_are_restored_one_by_one(store: ComposeStore) -> None:
    """docs/books.md shows the commands. The backup is at the mount point of another volume."""
    store.buy_next()
    backup = f"{store.name}_backup"
    try:
        volumes = [f"--volume={store.name}_{tier}:/{tier}" for tier in BEHIND] + [f"--volume={backup}:/data"]
        output_of("docker", "run", "--rm", *volumes, store.name, "sh", "-c", BACKUP)
        store.compose("down", "--volumes")
        for tier in BEHIND:
            command = ["python", "-m", "admin", "restore", "/backup", "--only", f"{tier}.db"]
            store.compose("run", "--rm", "--no-deps", f"--volume={backup}:/backup:ro", tier, *command)
        store.up()
        assert_nothing_is_lost(store)
    finally:
        output_of("docker", "volume", "rm", "--force", backup)


def while_shopping(store: ComposeStore, disturb: Callable[[], object]) -> None:
    """Buys single pieces during and after the disturbance. Each buy is repeated until it is answered."""
    with ThreadPoolExecutor() as pool:
        disturbance = pool.submit(disturb)
        while not disturbance.done():
            store.buy_next()
            time.sleep(0.1)
        disturbance.result()
    for _ in range(5):
        store.buy_next()


def assert_nothing_is_lost(store: ComposeStore) -> None:
    """Asserts that the log has each order, the stock matches them, and each key still has its answer."""
    orders, sold = {}, Counter[str]()
    for key, (product, quantity, answer) in store.answers.items():
        if "data" in answer:
            orders[int(answer["data"]["order_number"])] = key, product, quantity
            sold[product] += quantity
    assert sorted(orders) == list(range(len(orders)))
    # The orders first: a repeated key could create a lost order again.
    for number, (key, *bought) in orders.items():
        order = store.get(f"/orders/{number}", {"Idempotency-Key": key})
        assert [order["name"], order["quantity"]] == bought
    assert store.stock() == {product: stock - sold[product] for product, stock in INITIAL_STOCK.items()}
    for key, (product, quantity, answer) in store.answers.items():
        assert store.post(product, quantity, key).json() == answer
        assert store.post(product, quantity + 1, key).status_code == 422  # a forgotten key would buy
