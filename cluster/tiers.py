"""Two of each tier on this machine, the back office, and HAProxy before the front ends."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster import haproxy
from cluster.processes import Process, descendants, wait_for
from cluster.programs import Programs, as_user
from conf.addresses import Address
from conf.health import probe
from conf.owner_secret import FILE_NAME, make_secret_file

ROOT = Path(__file__).parents[1]
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
# The addresses of the first and the second of each tier.
_HOSTS = ("127.0.0.1", "127.0.0.2")
_PREFIXES = {"catalog": "CATALOG", "order": "ORDER", "front_end": "FRONT", "back_office": "BACK_OFFICE"}


@dataclass(frozen=True, slots=True)
class TierPorts:
    """The ports of the tiers. HAProxy has the port `shop`, and the front ends behind it the port `front_end`."""

    catalog: int = 10086
    order: int = 10010
    front_end: int = 16060
    back_office: int = 6061
    shop: int = 6060


@dataclass(frozen=True, slots=True)
class Tier:
    """One process of a tier."""

    name: str  # such as catalog2
    kind: str  # such as catalog
    address: Address
    process: Process


class LocalTiers:
    """The tiers of a store whose databases are at one address. `settings` are further settings of all tiers."""

    def __init__(
        self,
        folder: Path,
        database: str,
        programs: Programs,
        ports: TierPorts | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.ports = ports or TierPorts()
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.owner_secret = folder / FILE_NAME
        make_secret_file(self.owner_secret)
        self.database_file = _private_file(folder / "database", f"{database}\n")
        self._settings = {**os.environ, **self._common(), **(settings or {})}
        several = [(kind, host) for kind in ("catalog", "order", "front_end") for host in _HOSTS]
        self.tiers = [self._tier(kind, host) for kind, host in [*several, ("back_office", _HOSTS[0])]]
        self.haproxy = self._haproxy(programs)

    @property
    def shop(self) -> Address:
        """The address of the shop: HAProxy's."""
        return Address(_HOSTS[0], self.ports.shop)

    @property
    def desk(self) -> Address:
        return Address(_HOSTS[0], self.ports.back_office)

    @property
    def processes(self) -> list[Process]:
        """All processes, in the order of their start."""
        return [*(tier.process for tier in self.tiers), self.haproxy]

    def of_kind(self, kind: str) -> list[Tier]:
        return [tier for tier in self.tiers if tier.kind == kind]

    def not_ready(self) -> list[str]:
        """Returns what is not ready: a tier with the reason, or the shop."""
        found = []
        for tier in self.tiers:
            if why := probe(tier.address, "/ready"):
                found.append(f"{tier.name}: {why}")
        if why := probe(self.shop, "/ready"):
            found.append(f"shop: {why}")
        return found

    def wait_until_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Waits until all tiers and the shop are ready. Raises TimeoutError, which names those that are not."""
        wait_for("all tiers are ready", lambda: not self.not_ready(), timeout_s, lambda: "; ".join(self.not_ready()))

    def stop(self) -> None:
        """Ends HAProxy and the tiers, those in front first, and kills what does not end."""
        kinds = (("front_end", "back_office"), ("order",), ("catalog",))
        tiers = [[tier.process for tier in self.tiers if tier.kind in each] for each in kinds]
        for stopping in ([self.haproxy], *tiers):
            for process in stopping:
                process.terminate()
            for process in stopping:
                if not process.wait(STOP_TIMEOUT_S):
                    process.kill()

    def _addresses(self, kind: str) -> str:
        """Returns the addresses of a kind as a setting."""
        return ",".join(f"{host}:{getattr(self.ports, kind)}" for host in _HOSTS)

    def _common(self) -> dict[str, str]:
        """Returns the settings that all tiers have."""
        return {
            "CATALOG_DATABASE_FILE": str(self.database_file),
            "ORDER_DATABASE_FILE": str(self.database_file),
            "CATALOG": self._addresses("catalog"),
            "ORDER": self._addresses("order"),
            "FRONT": str(self.shop),
            "DATA_DIR": str(self.folder),
        }

    def _tier(self, kind: str, host: str) -> Tier:
        prefix, address = _PREFIXES[kind], Address(host, getattr(self.ports, kind))
        environment = {**self._settings, f"{prefix}_BIND": str(address)}
        if kind == "back_office":
            environment["BACK_OFFICE"] = str(address)
        for variable in ("OWNER_SECRET", "OWNER_SECRET_FILE"):
            environment.pop(variable, None)
        if kind != "front_end":  # strangers reach it, so it does not get the secret
            environment["OWNER_SECRET_FILE"] = str(self.owner_secret)
        name = kind if kind == "back_office" else f"{kind}{_HOSTS.index(host) + 1}"
        with_us = [sys.executable, "-m", "conf.with_parent", str(os.getpid()), "SIGTERM"]
        command = [*with_us, "gunicorn", "-c", f"conf/{kind}.py"]
        return Tier(name, kind, address, Process(name, command, self.folder / f"{name}.log", ROOT, environment))

    def _haproxy(self, programs: Programs) -> Process:
        file = self.folder / "haproxy.cfg"
        file.write_text(haproxy.configuration(str(self.shop), self._addresses("front_end").split(",")), "utf-8")
        command = as_user(programs.setpriv, None, [programs.haproxy, "-f", str(file)])
        return Process("haproxy", command, self.folder / "haproxy.log", ROOT)


def workers(tier: Tier) -> Sequence[int]:
    """Returns the process ids of a tier: the master first."""
    pid = tier.process.pid
    return [] if pid is None else descendants(pid)


def _private_file(path: Path, text: str) -> Path:
    """Writes a file that only its owner reads, and returns its path."""
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")
    return path
