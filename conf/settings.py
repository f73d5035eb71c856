"""Reads and checks the settings: the only reader of the environment. `python -m conf.settings` shows them."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn, TypeVar

from conf.addresses import Address
from conf.output import exit_code, open_streams
from conf.paths import parse_folder, parse_path
from conf.secret import Secrets
from conf.variables import (
    SettingsError,
    read_address,
    read_addresses,
    read_choice,
    read_count,
    read_database_address,
    read_hosts,
    read_secrets,
    read_switch,
    read_value,
    refuse_misspelt,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Defaults:
    """The defaults of a tier's variables, and their prefix."""

    prefix: str
    port: int
    workers: int
    threads: int
    endings: Sequence[str] = ()  # of the variables that this tier has beside _BIND, _HOSTS, _WORKERS and _THREADS
    fixed: Mapping[str, str] = field(default_factory=dict)  # why the tier has no setting of this ending


# A tier with a database has one worker: a second one could not write at the same time, and would wait for the write
# lock. The front end has no database, and its second worker uses the second core. The threads wait for calls that are
# not batched: for single orders in the front end, for direct decrements in the catalog. Pages of products have threads
# of their own. The order tier batches all calls that wait. The back office has one worker, whose memory knows which
# logins have ended and who has guessed; a thread of it streams a file or waits for the tiers behind. On PostgreSQL a
# tier has DATABASE_WORKERS, whose transactions run side by side.
TIERS = {
    "catalog": Defaults("CATALOG", port=10086, workers=1, threads=4, endings=["DATABASE", "DATABASE_FILE"]),
    "order": Defaults(
        "ORDER",
        port=10010,
        workers=1,
        threads=0,
        endings=["DATABASE", "DATABASE_FILE"],
        fixed={"THREADS": "the order tier has no threads that wait"},
    ),
    "front_end": Defaults("FRONT", port=6060, workers=2, threads=4),
    "back_office": Defaults(
        "BACK_OFFICE",
        port=6061,
        workers=1,
        threads=8,
        fixed={
            "WORKERS": "the back office has one worker, which remembers who has logged in",
            "THREADS": "the back office has a fixed number of threads",
        },
    ),
}

# A refused buy takes a row in two files, 1 kB at most by the limits of name and key: an attacker who never stops fills
# less than 1 GB a day.
REFUSED_PER_S = 10

# The server's max_connections, 100 by default, must hold those of all processes. Buys share batches, so few suffice.
DATABASE_CONNECTIONS = 10
DATABASE_WORKERS = 2

# The shopper's program repeats a request without an answer for this long: for longer than a tier needs to restart, and
# where the state is on PostgreSQL, for longer than a standby needs to take over.
PATIENCE_S = 10
DATABASE_PATIENCE_S = 30
MAX_PATIENCE_S = 3_600

# The known endings of the prefixes that are no tier's, so that a misspelt setting is named.
_KNOWN = {
    "TIER": ["SECRET", "SECRET_FILE"],
    "OWNER": ["SECRET", "SECRET_FILE"],
    "TRUST": ["NETWORK"],
    "REFUSED": ["PER_S"],
    "BACKUP": ["DIR"],
    "BOOKS": ["DIR"],
    "DATABASE": ["CONNECTIONS"],
    "PATIENCE": ["S"],
}

# The values of WORKER, and gunicorn's name for each.
WORKER_CLASSES = {"store": "server.worker.StoreWorker", "gthread": "gthread"}

# The threads of a worker of gunicorn's gthread. Each is busy with its request until the response is sent, so a batch
# has no more buys than a worker has threads. The store's own worker serves all requests in one thread.
REQUEST_THREADS = 32

_HELP = """\
Settings (environment variables)

  CATALOG, ORDER              where others reach the tier: host, host:port or http URL; several, with commas between
                              them, for tiers on one PostgreSQL; a name with several IP addresses counts as several
                              default: what the tier's _BIND says
  FRONT, BACK_OFFICE          where browsers reach it: likewise, but one, which may be https://host
                              default: what the tier's _BIND says
  CATALOG_BIND                host:port where the catalog listens     default: 127.0.0.1:{catalog.port}
  ORDER_BIND                  host:port where the order tier listens  default: 127.0.0.1:{order.port}
  FRONT_BIND                  host:port where the front end listens   default: 127.0.0.1:{front_end.port}
  BACK_OFFICE_BIND            host:port where the back office listens default: 127.0.0.1:{back_office.port}
  CATALOG_HOSTS, ORDER_HOSTS  further host names that the tier accepts (the Host of a request), with commas between
                              them, beside localhost, IP addresses, and the hosts in CATALOG, ORDER and _BIND
                              default: names without a dot
  FRONT_HOSTS                 likewise, beside FRONT and FRONT_BIND   default: names without a dot on loopback, else any
  BACK_OFFICE_HOSTS           likewise, beside BACK_OFFICE and BACK_OFFICE_BIND
                              default: names without a dot
  CATALOG_WORKERS             gunicorn's workers
                              default: {catalog.workers}; {database_workers} on PostgreSQL
  CATALOG_THREADS             threads that wait for direct decrements default: {catalog.threads}
  ORDER_WORKERS               gunicorn's workers
                              default: {order.workers}; {database_workers} on PostgreSQL
  FRONT_WORKERS               gunicorn's workers                      default: {front_end.workers}
  FRONT_THREADS               threads that wait for single orders     default: {front_end.threads}
  CATALOG_DATABASE            address of a database on PostgreSQL, which has the catalog then, such as
                              postgresql://user@host1,host2/store     default: none; catalog.db in DATA_DIR
  CATALOG_DATABASE_FILE       file of the address, which may have a password, instead
                                                                      default: none
  ORDER_DATABASE              likewise for the order log              default: none; order.db in DATA_DIR
  ORDER_DATABASE_FILE         file of the address, instead            default: none
  DATABASE_CONNECTIONS        connections of one process to its database on PostgreSQL, at most
                                                                      default: {database_connections}
  DATA_DIR                    folder of catalog.db and order.db, and of owner-secret if `make run` makes one
                                                                      default: data
  PRODUCTS                    file of the first products, read once   default: conf/database.txt
  PICTURES                    folder of the products' pictures: NAME.webp, .png, .jpg or .svg
                                                                      default: none
  CURRENCY                    name of the currency, three capital letters such as EUR, which the pages show
                                                                      default: none
  BACKUP_DIR                  folder of the backups that the owner's desk makes
                                                                      default: backups
  BOOKS_DIR                   order tier: a folder with both catalog.db and order.db, or links to them, for the audits
                              and backups of the owner's desk         default: what DATA_DIR says
  TIER_SECRET                 secret of the tiers catalog, order and front end: the first two answer to no one
                              without; new,old while one replaces the other
                                                                      default: none
  TIER_SECRET_FILE            file of the secret, instead             default: none
  OWNER_SECRET                secret of the owner, for whatever only the owner may do: the same for catalog, order and
                              back office, and not for the front end; new,old while one replaces the other
                                                                      default: none; `make run` makes one
  OWNER_SECRET_FILE           file of the owner's secret, instead     default: none
  TRUST_NETWORK               1: without a secret, catalog and order may listen beyond loopback
  REFUSED_PER_S               refused buys that are recorded per second, in the long run; further ones get a 429
                                                                      default: {refused_per_s}
  WORKER                      store, or gthread: gunicorn's own threaded worker, slower, as a fallback
                                                                      default: store
  PATIENCE_S                  client: seconds for which it repeats a request without an answer
                              default: {patience_s}; {database_patience_s} on PostgreSQL
  p                           client, mode 1: probability of a buy    default: asked for

A host without a port means the tier's default port, and https://host port 443. A ~ at the start of a path is a home."""


@dataclass(frozen=True, slots=True)
class Tier:
    """The settings of one tier: how it runs, and at which `addresses` the others reach it."""

    name: str
    bind: Address
    addresses: tuple[Address, ...]  # one, or several of a tier that runs several times on one database
    workers: int
    threads: int
    hosts: frozenset[str]  # further accepted host names, beside those of `bind` and `address`, in lower case

    @property
    def address(self) -> Address:
        """The first of its addresses. Shop and desk have no other."""
        return self.addresses[0]

    @property
    def bind_variable(self) -> str:
        """The name of the setting of `bind`."""
        return f"{TIERS[self.name].prefix}_BIND"

    @property
    def hosts_variable(self) -> str:
        """The name of the setting of `hosts`."""
        return f"{TIERS[self.name].prefix}_HOSTS"

    @property
    def is_on_loopback(self) -> bool:
        """Whether only this machine can connect to it."""
        return self.bind.is_loopback

    @property
    def local_address(self) -> Address:
        """The address at which its own machine reaches it: loopback, when it listens on all interfaces."""
        return Address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.bind.host, self.bind.host), self.bind.port)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked."""

    catalog: Tier
    order: Tier
    front_end: Tier
    back_office: Tier
    catalog_database: str | None = field(repr=False)  # an address of PostgreSQL, which may have a password
    order_database: str | None = field(repr=False)
    database_connections: int  # of one process
    data_dir: Path
    products: Path
    pictures: Path | None
    currency: str | None
    backup_dir: Path
    books_dir: Path
    secrets: Secrets | None  # of the tiers
    owner_secrets: Secrets | None
    trust_network: bool
    refused_per_s: int
    worker_class: str  # as gunicorn takes it

    @property
    def tiers(self) -> tuple[Tier, Tier, Tier, Tier]:
        """All tiers, those behind first. They may be started in any order."""
        return self.catalog, self.order, self.front_end, self.back_office


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Returns the settings in `environ`. Raises SettingsError."""
    catalog, order, front_end, back_office = (_tier(name, environ) for name in TIERS)
    for prefix, known in _KNOWN.items():
        refuse_misspelt(prefix, known, environ)
    secrets, owner_secrets = read_secrets("TIER_SECRET", environ), read_secrets("OWNER_SECRET", environ)
    if secrets and owner_secrets and set(secrets.values) & set(owner_secrets.values):
        raise SettingsError("OWNER_SECRET is also a TIER_SECRET, which the front end knows; choose another one")
    return Settings(
        catalog=catalog,
        order=order,
        front_end=front_end,
        back_office=back_office,
        catalog_database=read_database_address("CATALOG_DATABASE", environ),
        order_database=read_database_address("ORDER_DATABASE", environ),
        database_connections=read_count("DATABASE_CONNECTIONS", environ, default=DATABASE_CONNECTIONS, most=1_000),
        data_dir=read_value("DATA_DIR", environ, "data", parse_folder),
        products=read_value("PRODUCTS", environ, "conf/database.txt", parse_path),
        pictures=read_value("PICTURES", environ, "", parse_path) if environ.get("PICTURES") else None,
        currency=read_value("CURRENCY", environ, "", _parse_currency) if environ.get("CURRENCY") else None,
        backup_dir=read_value("BACKUP_DIR", environ, "backups", parse_folder),
        books_dir=read_value("BOOKS_DIR", environ, environ.get("DATA_DIR") or "data", parse_folder),
        secrets=secrets,
        owner_secrets=owner_secrets,
        trust_network=read_switch("TRUST_NETWORK", environ),
        refused_per_s=read_count("REFUSED_PER_S", environ, default=REFUSED_PER_S, most=999_999),
        worker_class=WORKER_CLASSES[read_choice("WORKER", environ, tuple(WORKER_CLASSES))],
    )


def load_only(*variables: str, environ: Mapping[str, str] = os.environ) -> Settings:
    """Returns these settings of `environ`, and the defaults of all others. Raises SettingsError.

    A program that needs few settings must not fail on another one.
    """
    return load({variable: environ[variable] for variable in variables if variable in environ})


def with_owner_secret_file(settings: Settings, file: Path) -> Settings:
    """Returns the settings as they are with this OWNER_SECRET_FILE. Raises SettingsError."""
    return replace(settings, owner_secrets=read_secrets("OWNER_SECRET", {"OWNER_SECRET_FILE": str(file)}))


def with_database_files(settings: Settings, files: Mapping[str, str]) -> Settings:
    """Returns the settings as they are with CATALOG_DATABASE_FILE and ORDER_DATABASE_FILE. Raises SettingsError."""
    return replace(
        settings,
        catalog_database=read_database_address("CATALOG_DATABASE", files),
        order_database=read_database_address("ORDER_DATABASE", files),
    )


def load_or_exit() -> Settings:
    """Returns the settings. Ends the program with one line and exit code 2 when one is invalid."""
    try:
        return load()
    except SettingsError as error:
        refuse_to_start(str(error))


def refuse_to_start(why: str, exit_code: int = 2) -> NoReturn:
    """Ends this program with one line. Exit code 2 says that a later try would fail as well."""
    print(f"toy store: {why}", file=sys.stderr, flush=True)
    sys.exit(exit_code)


def require_private_or_secret(settings: Settings, *behind: Tier) -> None:
    """Raises SettingsError when strangers could reach one of the tiers `behind` the front end, and would be obeyed."""
    for tier in behind:
        require_private_or_secret_at(settings, tier, tier.bind)


def require_private_or_secret_at(settings: Settings, tier: Tier, address: Address) -> None:
    """Raises SettingsError when strangers could reach a tier behind the front end at this address, without a secret."""
    if not (address.is_loopback or settings.secrets or settings.trust_network):
        cause = tier.bind_variable if address == tier.bind else f"{tier.name}: gunicorn's bind"
        raise SettingsError(
            f"{cause}: at {address} the {tier.name} tier obeys whoever reaches it; set "
            "TIER_SECRET, or TRUST_NETWORK=1 when only the store's tiers can"
        )


def buy_probability(environ: Mapping[str, str] = os.environ) -> float | None:
    """Returns the client's `p`; None when it is not set. Raises SettingsError."""
    return parse_probability(environ["p"]) if environ.get("p") else None


def patience_s(environ: Mapping[str, str] = os.environ) -> int:
    """Returns for how many seconds the client repeats a request. Raises SettingsError."""
    is_on_postgres = _is_on_postgres("CATALOG", environ) or _is_on_postgres("ORDER", environ)
    default = DATABASE_PATIENCE_S if is_on_postgres else PATIENCE_S
    return read_count("PATIENCE_S", environ, default=default, most=MAX_PATIENCE_S)


def parse_probability(text: str) -> float:
    """Parses a probability from 0 to 1. Raises SettingsError."""
    try:
        probability = float(text)
    except ValueError:
        probability = -1.0
    if not 0 <= probability <= 1:
        raise SettingsError(f"p={text!r} is not a probability from 0 to 1")
    return probability


def _tier(name: str, environ: Mapping[str, str]) -> Tier:
    default = TIERS[name]
    prefix, port = default.prefix, default.port
    for ending, why in default.fixed.items():
        if environ.get(f"{prefix}_{ending}"):
            raise SettingsError(f"{prefix}_{ending} is not a setting: {why}; unset it")
    endings = ("BIND", "HOSTS", "WORKERS", "THREADS", *default.endings)
    known = [ending for ending in endings if ending not in default.fixed]
    refuse_misspelt(prefix, known, environ)
    workers = DATABASE_WORKERS if _is_on_postgres(prefix, environ) else default.workers
    bind = read_address(f"{prefix}_BIND", environ.get(f"{prefix}_BIND") or f"127.0.0.1:{port}", port)
    tier = Tier(
        name=name,
        bind=bind,
        addresses=(bind,),
        workers=read_count(f"{prefix}_WORKERS", environ, default=workers, most=64),
        threads=read_count(f"{prefix}_THREADS", environ, default=default.threads, most=512) if default.threads else 0,
        hosts=read_hosts(f"{prefix}_HOSTS", environ),
    )
    address = environ.get(prefix)
    if not address:
        return replace(tier, addresses=(tier.local_address,))
    # Browsers reach a tier at one address, where a TLS proxy may be. The tiers reach each other by http.
    if name in ("front_end", "back_office"):
        return replace(tier, addresses=(read_address(prefix, address, port, https=True),))
    return replace(tier, addresses=read_addresses(prefix, address, port))


def _is_on_postgres(prefix: str, environ: Mapping[str, str]) -> bool:
    """Whether the tier of this prefix has the address of a database."""
    return any(environ.get(f"{prefix}_{ending}") for ending in ("DATABASE", "DATABASE_FILE"))


def _parse_currency(text: str) -> str:
    """Parses the name of a currency as ISO 4217 has them. Raises ValueError."""
    if not re.fullmatch(r"[A-Z]{3}", text):
        raise ValueError("is not the name of a currency, three capital letters such as EUR")
    return text


def describe() -> str:
    """Returns the settings with their meaning and default, for `make help`."""
    return _HELP.format(
        **TIERS,
        refused_per_s=REFUSED_PER_S,
        database_connections=DATABASE_CONNECTIONS,
        database_workers=DATABASE_WORKERS,
        patience_s=PATIENCE_S,
        database_patience_s=DATABASE_PATIENCE_S,
    )


if __name__ == "__main__":
    open_streams()
    print(describe())
    load_or_exit()
    sys.exit(exit_code(0, 2, "toy store"))
