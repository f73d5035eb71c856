"""compose.cluster.yaml on a Docker engine: built, attacked while shoppers buy, and removed: `make cluster-test`.

Without an engine these tests fail instead of being skipped. They use a project, images and ports of their own.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from conf.addresses import Address
from tests.cluster.books import read_at_rest
from tests.cluster.shopping import INTERNAL_ERROR, Shopping
from tests.cluster.verdict import judge
from tests.compose.engine import compose_command, inspect, is_healthy, output_of
from tests.support.history import History
from tests.support.tiers import ROOT, free_port
from tests.support.waiting import wait_until

NODES = ("node1", "node2", "node3")
BEHIND = ("catalog1", "catalog2", "order1", "order2")
TIERS = (*BEHIND, "front_end1", "front_end2", "back_office")
PUBLISHED = ("shop", "back_office")
SHOPPERS = 8
# A machine that also runs other tests needs this long for a failover.
TIMEOUT_S = 180.0

# The catalogs begin with more pieces than shoppers can buy.
_CATALOG = """
    environment: {PRODUCTS: /tmp/products.txt, REFUSED_PER_S: "1000"}
    command: ["sh", "-c", "printf 'Tux 10 1000000\\\\nTicket 10 50\\\\n' >/tmp/products.txt; \
exec python -m gunicorn -c conf/catalog.py"]
"""
OVERRIDE = f"services:\n  catalog1:{_CATALOG}  catalog2:{_CATALOG}"


class ContainerStore:
    """A compose project of a whole cluster, and the history of its shoppers."""

    def __init__(self, compose: list[str], override: Path) -> None:
        self.name = f"toystore-cluster-test-{os.getpid()}"
        self.shop = Address("127.0.0.1", free_port())
        self.desk = Address("127.0.0.1", free_port())
        self.history = History()
        self._turn = 0
        self._containers: dict[str, str] = {}
        files = ["-f", str(ROOT / "compose.cluster.yaml"), "-f", str(override)]
        self._compose = [*compose, *files, "-p", self.name]
        ports = {"FRONT_PORT": str(self.shop.port), "BACK_OFFICE_PORT": str(self.desk.port)}
        self._environ = {**os.environ, "CLUSTER_IMAGE": self.name, "BACK_OFFICE": str(self.desk), **ports}

    def compose(self, *arguments: str) -> str:
        """Runs a command of compose on the project, and returns its output."""
        return output_of(*self._compose, *arguments, environ=self._environ)

    def container(self, service: str) -> str:
        """Returns the id of the service's container, also while it does not run."""
        if service not in self._containers:  # docker is asked once for all: compose takes a second for each question
            of_project = f"label=com.docker.compose.project={self.name}"
            format = '{{.Label "com.docker.compose.service"}} {{.ID}}'
            listed = output_of("docker", "ps", "--all", "--filter", of_project, "--format", format)
            self._containers = dict(line.split() for line in listed.splitlines())
        return self._containers[service]

    def run_in(self, service: str, *command: str) -> str:
        """Runs a command in the container of a service, and returns its output."""
        return output_of("docker", "exec", self.container(service), *command)

    def wait_until(self, what: str, holds: Callable[[], bool]) -> None:
        wait_until(what, holds, timeout_s=TIMEOUT_S, every_s=0.5, details=lambda: self.compose("logs", "--tail=30"))

    def members(self) -> dict[str, str]:
        """Returns the role of each node that runs or streams, as a living node reports it; none while none answers."""
        for node in NODES:
            with suppress(pytest.fail.Exception):  # the node does not run, or reaches no majority of etcd
                listed = self.run_in(node, "patronictl", "-c", "/data/patroni.yml", "list", "-f", "json")
                members = json.loads(listed)
                return {one["Member"]: one["Role"] for one in members if one["State"] in ("running", "streaming")}
        return {}

    def leader(self) -> str:
        [leader] = [name for name, role in self.members().items() if role == "Leader"]
        return leader

    def wait_until_whole(self) -> None:
        """Waits until the leader has two standbys, and the shop is ready."""

        def is_whole() -> bool:
            return sorted(self.members().values()) == ["Leader", "Quorum Standby", "Quorum Standby"]

        self.wait_until("a leader has two standbys", is_whole)
        self.wait_until("the shop is ready", lambda: _is_ok(f"http://{self.shop}/ready"))

    def database(self) -> str:
        """Returns the address of the database for this machine, which reaches the nodes by their addresses alone."""
        address = self.run_in("catalog1", "cat", "/secrets/store/database").strip()
        for node in NODES:
            networks = inspect(self.container(node))["NetworkSettings"]["Networks"]
            address = address.replace(f"{node}:", f"{networks[f'{self.name}_database']['IPAddress']}:")
        return address

    @contextmanager
    def shopping(self) -> Iterator[Shopping]:
        """Lets shoppers buy during the block and for a while after it, and judges all answers until then."""
        self._turn += 1
        shopping = Shopping(self.shop, SHOPPERS, prefix=f"{self._turn}", products=["Tux", "Ticket"], seed=self._turn)
        shopping.start()
        try:
            _wait_for_buys(shopping, 50)
            yield shopping
            _wait_for_buys(shopping, 100)
        finally:
            shopping.stop(give_up_after_s=TIMEOUT_S)
        self.history.attempts += shopping.history.attempts
        assert not shopping.statuses[INTERNAL_ERROR]
        books, failed_checks = read_at_rest(self.database())
        verdict = judge(self.history, books, unanswered=shopping.unanswered(), failed_checks=failed_checks)
        assert verdict.is_clean, "\n".join(verdict.details())


def _wait_for_buys(shopping: Shopping, more: int) -> None:
    """Waits until so many more buys are answered than now."""
    before = shopping.answered()
    wait_until(
        "buys are answered",
        lambda: shopping.answered() >= before + more,
        timeout_s=TIMEOUT_S,
        every_s=0.1,
        details=lambda: str(dict(shopping.statuses)),
    )


def _is_ok(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerStore]:
    """Builds the images, starts the project, and removes both after the last test."""
    override = tmp_path_factory.mktemp("compose") / "override.yaml"
    override.write_text(OVERRIDE)
    store = ContainerStore(compose_command(), override)
    try:
        store.compose("build")
        store.compose("up", "--detach")
        store.wait_until_whole()
        yield store
    finally:
        store.compose("down", "--volumes", "--rmi", "all", "--timeout", "5")


def test_only_shop_and_desk_are_published_and_only_on_loopback(store: ContainerStore) -> None:
    published = {
        service: [
            binding
            for bindings in (inspect(store.container(service))["HostConfig"]["PortBindings"] or {}).values()
            for binding in bindings
        ]
        for service in (*NODES, *TIERS, "shop")
    }
    assert {service for service, bindings in published.items() if bindings} == set(PUBLISHED)
    assert {binding["HostIp"] for service in PUBLISHED for binding in published[service]} == {"127.0.0.1"}


@pytest.mark.parametrize("service", [*NODES, *BEHIND])
def test_what_is_behind_the_front_ends_is_cut_off(store: ContainerStore, service: str) -> None:
    networks = inspect(store.container(service))["NetworkSettings"]["Networks"]
    assert all(json.loads(output_of("docker", "network", "inspect", name))[0]["Internal"] for name in networks)


def test_each_part_has_only_the_secrets_that_it_needs(store: ContainerStore) -> None:
    def secrets(service: str) -> set[str]:
        return {
            mount["Destination"]
            for mount in inspect(store.container(service))["Mounts"]
            if "secrets" in mount["Destination"]
        }

    assert {service: secrets(service) for service in (*NODES, *TIERS, "shop")} == {
        **{key: {"/secrets/nodes"} for key in NODES},
        **{key: {"/secrets/store", "/secrets/owner"} for key in BEHIND},
        **{key: set() for key in ("front_end1", "front_end2", "shop")},
        "back_office": {"/secrets/owner"},
    }


@pytest.mark.parametrize("service", [*NODES, *TIERS, "shop"])
def test_a_container_has_no_right_that_it_does_not_need(store: ContainerStore, service: str) -> None:
    given = inspect(store.container(service))["HostConfig"]
    assert given["ReadonlyRootfs"] and given["CapDrop"] == ["ALL"] and 0 < given["Memory"] <= 2**30
    assert "no-new-privileges:true" in given["SecurityOpt"]
    assert store.run_in(service, "id", "-u").strip() == "10001"


def test_the_loss_of_the_leader_under_load_costs_no_buy(store: ContainerStore) -> None:
    """`docker kill` takes the whole node, and the engine does not start it again."""
    leader = store.leader()
    with store.shopping():
        store.compose("kill", leader)
        store.wait_until("another node leads", lambda: another_leads(store, leader))
        store.wait_until("the shop is ready", lambda: _is_ok(f"http://{store.shop}/ready"))
        store.compose("start", leader)
        store.wait_until_whole()
    assert store.leader() != leader


def another_leads(store: ContainerStore, lost: str) -> bool:
    """Returns whether there is a leader, and it is not the lost one."""
    members = store.members()
    return "Leader" in members.values() and members.get(lost) != "Leader"


@pytest.mark.parametrize("service", ["catalog1", "order2", "front_end1"])
def test_the_loss_of_a_tier_under_load_costs_no_buy(store: ContainerStore, service: str) -> None:
    container = store.container(service)
    with store.shopping():
        store.compose("kill", service)
        time.sleep(3)
        store.compose("start", service)
        store.wait_until(f"{service} is healthy", lambda: is_healthy(container))


def test_the_loss_of_all_containers_costs_no_order(store: ContainerStore) -> None:
    with store.shopping():
        pass
    store.compose("kill")
    store.compose("up", "--detach")
    store.wait_until_whole()
    with store.shopping():
        pass


def test_the_owner_logs_in_by_a_link(store: ContainerStore) -> None:
    link = store.run_in("back_office", "python", "-m", "admin", "login").strip()
    assert link.startswith(f"http://{store.desk}/login?token=")
    opened: Any = requests.get(link, headers={"Accept": "text/html"}, allow_redirects=False, timeout=10)
    assert opened.status_code == 303
