"""Exports the orders of a running store as CSV, and reads how much memory a process has used at most."""

import csv
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import requests

from tests.support.tiers import Tiers

CHUNK_BYTES = 64 * 1024


def export_orders(tiers: Tiers, secret: str, query: str = "") -> Iterator[list[str]]:
    """Yields the rows of the file that the desk sends, without the header. Raises when it ends too early."""
    address = f"{tiers.url('back_office')}/orders.csv{query}"
    with closing(
        requests.get(address, headers={"Authorization": f"Bearer {secret}"}, stream=True, timeout=60)
    ) as response:
        assert response.status_code == 200, response.text
        response.encoding = "utf-8-sig"
        rows = csv.reader(response.iter_lines(CHUNK_BYTES, decode_unicode=True), strict=True)
        assert next(rows)[:3] == ["time", "number", "product"]
        yield from rows


def peak_memory(pid: int) -> int:
    """Returns the most bytes that a process had resident at once."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024  # such as "41532 kB", which means KiB
