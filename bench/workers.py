"""What a worker of a tier holds: memory, threads, file descriptors."""

from dataclasses import dataclass
from pathlib import Path

MB = 1_000_000


@dataclass(frozen=True)
class Holding:
    """Of one process, or of several together."""

    memory: int  # resident, in bytes
    threads: int
    descriptors: int

    def __add__(self, other: "Holding") -> "Holding":
        return Holding(self.memory + other.memory, self.threads + other.threads, self.descriptors + other.descriptors)


def holding(pid: int) -> Holding:
    """What this process holds now. Raises FileNotFoundError or ProcessLookupError when it has ended."""
    process = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    if "VmRSS" not in status:  # a zombie
        raise ProcessLookupError(pid)
    return Holding(
        memory=int(status["VmRSS"].split()[0]) * 1024,  # such as "41532 kB", which means KiB
        threads=int(status["Threads"]),
        descriptors=len(list((process / "fd").iterdir())),
    )


def allowed(settled_bytes: float) -> float:
    """The most memory, in bytes, that is no leak for a worker that had so much when it had all it needs."""
    return settled_bytes * 1.10 + 5 * MB
