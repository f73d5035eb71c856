"""Patroni's configuration of a node.

The settings were measured in fault runs: a lost leader costs shoppers about 20 s, a dead postmaster about 3 s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster.layout import DATABASE, ROLE, Layout, Node
from cluster.passwords import Passwords

# Patroni keeps these settings in etcd, the same for all nodes. `patronictl edit-config` changes them later.
# A leader that etcd has not heard of for TTL_S is replaced; 20 is the least that Patroni accepts.
TTL_S = 20
_TIMES = {"ttl": TTL_S, "loop_wait": 2, "retry_timeout": 5}
# Fails over at once when the postmaster dies, rather than start it again: 3 s rather than a crash recovery.
_FAIL_OVER_AT_ONCE = {"primary_start_timeout": 0, "maximum_lag_on_failover": 1_048_576}
# Without etcd the leader goes on as long as it reaches all other nodes.
_WITHOUT_ETCD = {"failsafe_mode": True}
# A COMMIT waits for one of the standbys, and without any it waits for good: no acknowledged buy is on one node only.
_SYNCHRONOUS = {"synchronous_mode": "quorum", "synchronous_mode_strict": True, "synchronous_node_count": 1}
_ASYNCHRONOUS = {"synchronous_mode": False}

_PARAMETERS = {
    "max_connections": 200,
    "shared_buffers": "64MB",
    "synchronous_commit": "on",
    "wal_level": "replica",
    "hot_standby": "on",
    "max_wal_senders": 10,
    "max_replication_slots": 10,
    "wal_log_hints": "on",  # for pg_rewind
    "wal_receiver_status_interval": "1s",
    "dynamic_shared_memory_type": "mmap",  # a container has little /dev/shm
    "deadlock_timeout": "1s",
    "lock_timeout": "5s",  # well above deadlock_timeout, or it hides the deadlocks
    "idle_in_transaction_session_timeout": "3s",  # a client machine that dies in a batch frees its rows
    "client_connection_check_interval": "1s",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class Files:
    """The folders of a node: its data, PostgreSQL's programs, and the file of the first statements."""

    data: Path
    programs: Path
    first_statements: Path

    @property
    def configuration(self) -> Path:
        return self.data / "patroni.yml"


def configuration(
    layout: Layout, node: Node, files: Files, passwords: Passwords, listen: str | None = None
) -> dict[str, Any]:
    """Returns Patroni's configuration of a node. `listen` is the address of its API where its host is a name."""
    ports = layout.ports
    here = f"{node.host}:{ports.postgres}"
    return {
        "scope": "toystore",
        "name": node.name,
        "restapi": {
            "listen": f"{listen or node.host}:{ports.patroni}",
            "connect_address": f"{node.host}:{ports.patroni}",
            "authentication": {"username": "patroni", "password": passwords.patroni},
        },
        "ctl": {"authentication": {"username": "patroni", "password": passwords.patroni}},
        "etcd3": {"hosts": [f"{each.host}:{ports.etcd}" for each in layout.nodes]},
        "bootstrap": {
            "dcs": {
                **_TIMES,
                **_FAIL_OVER_AT_ONCE,
                **_WITHOUT_ETCD,
                **(_SYNCHRONOUS if layout.is_synchronous else _ASYNCHRONOUS),
                "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": _PARAMETERS},
            },
            "initdb": [
                {"encoding": "UTF8"},
                {"locale": "C.UTF-8"},
                "data-checksums",
                {"auth-host": "scram-sha-256"},
                {"auth-local": "scram-sha-256"},
            ],
            "post_bootstrap": f"{files.programs / 'psql'} --quiet --no-psqlrc --set=ON_ERROR_STOP=1 "
            f"--file={files.first_statements}",
        },
        "postgresql": {
            "listen": f"*:{ports.postgres}" if layout.listens_everywhere else here,
            "connect_address": here,
            "data_dir": str(files.data / "postgres"),
            "bin_dir": str(files.programs),
            "pgpass": str(files.data / "pgpass"),
            "authentication": passwords.roles(),
            "pg_hba": [
                "host replication replicator samenet scram-sha-256",
                "host all postgres,rewinder samenet scram-sha-256",
                f"host {DATABASE} {ROLE} samenet scram-sha-256",
            ],
            "basebackup": [{"checkpoint": "fast"}],  # a new standby comes up in seconds rather than minutes
            "parameters": {"unix_socket_directories": ""},  # a path of a socket may have 107 bytes only
        },
        "tags": {},
    }


def write(files: Files, settings: Mapping[str, Any], passwords: Passwords) -> None:
    """Writes the configuration of a node, and the statements that a new cluster begins with, for its owner alone."""
    statements = (
        f"CREATE ROLE {ROLE} LOGIN PASSWORD '{_quoted(passwords.store)}';\n"
        f"CREATE DATABASE {DATABASE} OWNER {ROLE};\n"
        f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC;\n"
        f"GRANT pg_monitor TO {ROLE};\n"  # a tier tells whether its commits wait for a standby
    )
    for file, text in (
        (files.configuration, yaml.safe_dump(dict(settings), sort_keys=False)),
        (files.first_statements, statements),
    ):
        file.touch(mode=0o600)
        file.write_text(text, "utf-8")


def _quoted(text: str) -> str:
    """Returns a text for a string of SQL."""
    return text.replace("'", "''")
