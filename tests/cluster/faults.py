"""The faults: each disturbs a store on a cluster and undoes it, while shoppers buy."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from cluster.processes import signal_all
from tests.cluster.networks import Networks
from tests.cluster.store import FaultyStore

FROZEN_S = 30.0
CUT_S = 40.0
KILLS_OF_A_TIER = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault by its name. `expected_gap_s` is the time without an answered buy that it may cost."""

    name: str
    run: Callable[[FaultyStore], None]
    expected_gap_s: float
    needs_networks: bool = False


def _kill_leader(store: FaultyStore) -> None:
    """Kills etcd, Patroni and PostgreSQL of the leader, which comes back when another one leads."""
    leader = store.databases.leader()
    leader.kill()
    time.sleep(30)
    store.revive(leader)


def _kill_postmaster(store: FaultyStore) -> None:
    """Kills all of the leader's PostgreSQL. Its Patroni goes on."""
    signal_all(store.databases.leader().postgres_pids(), signal.SIGKILL)
    time.sleep(5)


def _kill_standbys(store: FaultyStore, standbys: int) -> None:
    """Kills one standby or both for 10 s."""
    victims = store.databases.standbys()[:standbys]
    for node in victims:
        node.kill()
    time.sleep(10)
    store.revive(*victims)


def _kill_all_nodes(store: FaultyStore) -> None:
    """Kills all nodes for 3 s."""
    for node in store.databases.nodes:
        node.kill()
    time.sleep(3)
    store.revive(*store.databases.nodes)


def _freeze_leader(store: FaultyStore) -> None:
    """Stops all processes of the leader for FROZEN_S: its connections stay open, and nothing answers on them."""
    leader = store.databases.leader()
    leader.signal(signal.SIGSTOP)
    time.sleep(FROZEN_S)
    leader.signal(signal.SIGCONT)


def _cut_off_leader(store: FaultyStore, *, from_tiers: bool) -> None:
    """Cuts the leader off from the other nodes for CUT_S, and from the tiers or not."""
    leader, networks = store.databases.leader(), _networks(store)
    host = leader.node.host
    others = networks.everyone_but(host) if from_tiers else networks.nodes_but(host)
    networks.cut(host, others)
    time.sleep(CUT_S)
    networks.mend(host, others)


def _lose_majority_of_etcd(store: FaultyStore) -> None:
    """Kills two of the three members of etcd for 20 s. The leader cannot keep its lock."""
    victims = store.databases.standbys()
    signal_all([node.etcd.pid for node in victims if node.etcd.pid is not None], signal.SIGKILL)
    time.sleep(20)
    store.revive(*victims)


def _kill_tier(store: FaultyStore, kind: str, kills: int = KILLS_OF_A_TIER) -> None:
    """Kills so many times one process of a tier, of which there are two, each when the last victim is back."""
    for turn in range(kills):
        store.kill_tier(kind, turn)
        time.sleep(0.5)
        store.wait_until_tiers_are_ready(kind)


def _restart_tiers(store: FaultyStore) -> None:
    """Restarts the tiers one after the other, those behind first, as an upgrade does."""
    for kind in ("catalog", "order", "front_end"):
        for tier in store.tiers.of_kind(kind):
            store.restart(tier)


def _kill_leader_while_standbys_lag(store: FaultyStore) -> None:
    """Stops the standbys' PostgreSQL for 2 s, and kills it and the leader at the end of that time.

    In an asynchronous cluster the buys of that time are lost: what the leader has sent is in the sockets of the killed
    standbys, which Patroni starts again. In a synchronous one no buy is acknowledged meanwhile.
    """
    leader, standbys = store.databases.leader(), store.databases.standbys()
    lagging = [pid for node in standbys for pid in node.postgres_pids()]
    signal_all(lagging, signal.SIGSTOP)
    time.sleep(2.0)
    leader.kill()
    signal_all(lagging, signal.SIGKILL)
    time.sleep(30)
    store.revive(leader)


LAGGING_STANDBYS = Fault("leader killed while the standbys lag", _kill_leader_while_standbys_lag, 30.0)
FAULTS = (
    Fault("leader killed", _kill_leader, 25.0),
    LAGGING_STANDBYS,
    Fault("leader's postmaster killed", _kill_postmaster, 10.0),
    Fault("standby killed", partial(_kill_standbys, standbys=1), 1.0),
    Fault("both standbys killed for 10 s", partial(_kill_standbys, standbys=2), 25.0),
    Fault("all nodes killed for 3 s", _kill_all_nodes, 25.0),
    Fault(f"leader frozen for {FROZEN_S:.0f} s", _freeze_leader, 30.0),
    Fault("leader cut off from all", partial(_cut_off_leader, from_tiers=True), 30.0, needs_networks=True),
    Fault("leader cut off from the nodes", partial(_cut_off_leader, from_tiers=False), 30.0, needs_networks=True),
    Fault("two of three etcd killed for 20 s", _lose_majority_of_etcd, 30.0),
    Fault(f"{KILLS_OF_A_TIER} kills of catalogs", partial(_kill_tier, kind="catalog"), 1.0),
    Fault(f"{KILLS_OF_A_TIER} kills of order tiers", partial(_kill_tier, kind="order"), 1.0),
    Fault(f"{KILLS_OF_A_TIER} kills of front ends", partial(_kill_tier, kind="front_end"), 1.0),
    Fault("tiers restarted one by one", _restart_tiers, 1.0),
)

# Of less than two minutes in all, for CI.
SHORT = (
    Fault("leader's postmaster killed", _kill_postmaster, 10.0),
    Fault("5 kills of order tiers", partial(_kill_tier, kind="order", kills=5), 1.0),
)


def _networks(store: FaultyStore) -> Networks:
    assert store.networks is not None, "this fault needs a network for each node"
    return store.networks
