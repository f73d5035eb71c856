"""Finds the process that listens on a port of this machine, by Linux's /proc."""

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from conf.addresses import Address
from conf.output import one_line

_LISTENING = "0A"  # the state of a listening socket in /proc/net/tcp, TCP_LISTEN in Linux


def holder_of(address: Address) -> str | None:
    """Returns the process that has the port, as "process 4711 (nc -l 6060)"; None when it is not known.

    When a master and its workers have the port, it names the master. Only root sees the processes of other users.
    """
    sockets = {f"socket:[{inode}]" for inode in _listeners(address)}
    holders = [pid for pid in _processes() if sockets & _files(pid)] if sockets else []
    if not holders:
        return None
    pid = next((pid for pid in holders if _parent(pid) not in holders), holders[0])
    command = _read(f"/proc/{pid}/cmdline").rstrip("\0").replace("\0", " ")
    return f"process {pid} ({one_line(command)})"


def _listeners(address: Address) -> list[str]:
    """Returns the inodes of the sockets that listen on the port at an address that conflicts with ours."""
    try:
        ours = {found[4][0] for found in socket.getaddrinfo(address.host, address.port)}
    except OSError:
        return []
    everywhere = {"0.0.0.0", "::"}
    found = []
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _read(file).splitlines()[1:]:
            fields = line.split()
            host, _, port = fields[1].partition(":")
            if fields[3] == _LISTENING and int(port, 16) == address.port:
                theirs = _ip(host)
                if theirs in ours | everywhere or ours & everywhere:
                    found.append(fields[9])
    return found


def _ip(digits: str) -> str:
    """Parses an address of /proc/net/tcp: each group of four bytes is a number in this machine's byte order."""
    words = [int(digits[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(digits), 8)]
    return socket.inet_ntop(socket.AF_INET6 if len(words) > 1 else socket.AF_INET, b"".join(words))


def _processes() -> list[int]:
    with suppress(OSError):
        return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    return []


def _files(pid: int) -> set[str]:
    """Returns the open files of a process, a socket as "socket:[inode]"."""
    found = set()
    with suppress(OSError):  # the process is another user's, or has ended
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(os.readlink(file))
    return found


def _parent(pid: int) -> int:
    # The line is "4711 (name) S 1 ...". A name may have blanks and brackets.
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""
