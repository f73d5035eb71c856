"""Reads the resources of a worker: memory, threads, file descriptors."""

from dataclasses import dataclass
from pathlib import Path

MB = 1_000_000


@dataclass(frozen=True)
class ResourceUsage:
    """The resources of one process, or the sum of several."""

    memory: int  # resident, in bytes
    threads: int
    descriptors: int

    def __add__(self, other: "ResourceUsage") -> "ResourceUsage":
        return ResourceUsage(
            self.memory + other.memory, self.threads + other.threads, self.descriptors + other.descriptors
        )


def resource_usage(pid: int) -> ResourceUsage:
    """Returns the resources of a process now. Raises FileNotFoundError or ProcessLookupError when it has ended."""
    process = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    if "VmRSS" not in status:  # a zombie
        raise ProcessLookupError(pid)
    return ResourceUsage(
        memory=int(status["VmRSS"].split()[0]) * 1024,  # such as "41532 kB", which means KiB
        threads=int(status["Threads"]),
        descriptors=len(list((process / "fd").iterdir())),
    )


def leak_limit(settled_bytes: float) -> float:
    """Returns the most memory in bytes of a worker that does not leak. `settled_bytes` is that after its warm-up."""
    return settled_bytes * 1.10 + 5 * MB
