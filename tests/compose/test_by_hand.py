"""Runs the commands of docs/deployment.md for containers by hand, with names, image and port of the test."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from tests.compose.engine import inspect
from tests.support.tiers import ROOT, free_port
from tests.support.waiting import wait_until

DEPLOYMENT = (ROOT / "docs" / "deployment.md").read_text("utf-8")


def commands(section: str) -> str:
    """Returns the indented commands under this heading of docs/deployment.md."""
    [text] = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", DEPLOYMENT, re.MULTILINE | re.DOTALL)
    return "".join(line[4:] for line in text.splitlines(keepends=True) if line.startswith("    "))


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[str, int]]:
    """Runs the containers, and yields the prefix of their names and the port of the shop."""
    name, port = f"toystore-by-hand-{os.getpid()}", free_port()
    build = "docker build --network ${BUILD_NETWORK:-default} --build-arg BASE_IMAGE=${BASE_IMAGE:-python:3.13-slim}"
    script = commands("Containers by hand").replace("toystore", name).replace("127.0.0.1:6060", f"127.0.0.1:{port}")
    desk_port = free_port()
    script = script.replace("127.0.0.1:6061", f"127.0.0.1:{desk_port}")
    start, end = script.replace("docker build", build).split("docker rm ")
    try:
        subprocess.run(["bash", "-euc", start], cwd=ROOT, check=True)
        yield name, port
    finally:
        subprocess.run(["bash", "-euc", "docker rm " + end], cwd=ROOT, check=True)
        subprocess.run(
            ["docker", "volume", "rm", f"{name}-catalog", f"{name}-order", f"{name}-backups", f"{name}-owner"],
            check=True,
        )
        subprocess.run(["docker", "image", "rm", name], check=True)


def address(container: str, network: str) -> str:
    """Returns the IP address of a container."""
    found: str = inspect(container)["NetworkSettings"]["Networks"][network]["IPAddress"]
    return found


def test_the_containers_of_the_documents_answer_as_documented(store: tuple[str, int]) -> None:
    name, port = store
    url = f"http://127.0.0.1:{port}"

    def sells() -> bool:
        try:
            return requests.get(f"{url}/products/Tux", timeout=10).status_code == 200
        except requests.ConnectionError:
            return False

    wait_until("it sells", sells)
    tiers = {tier.upper(): address(f"{name}-{tier}", f"{name}-behind") for tier in ("catalog", "order")}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.exchanges"],
        cwd=ROOT, env={**os.environ, "FRONT": f"127.0.0.1:{port}", **tiers},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_desk_answers_and_reaches_the_tiers_behind(store: tuple[str, int]) -> None:
    name, _ = store

    def is_ready() -> bool:
        check = ["docker", "exec", f"{name}-desk", "python", "-m", "conf.health", "--ready", "back_office"]
        return subprocess.run(check, capture_output=True, check=False).returncode == 0

    wait_until("the desk is ready", is_ready)
    command = ["docker", "exec", f"{name}-desk", "python", "-m", "admin", "login"]
    link = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert link.startswith("http://127.0.0.1:6061/login?token=")
    logs = subprocess.run(["docker", "logs", f"{name}-desk"], capture_output=True, text=True, check=True)
    assert "does not accept" not in logs.stdout + logs.stderr


def test_a_restarted_container_keeps_its_orders(store: tuple[str, int]) -> None:
    name, port = store
    bought = requests.post(f"http://127.0.0.1:{port}/Tux/1", headers={"Idempotency-Key": "k"}, timeout=60).json()
    subprocess.run(["docker", "restart", f"{name}-order"], check=True, stdout=subprocess.DEVNULL)

    def repeated_buy() -> object:
        reply = requests.post(f"http://127.0.0.1:{port}/Tux/1", headers={"Idempotency-Key": "k"}, timeout=60)
        return reply.json()

    wait_until("the same answer", lambda: repeated_buy() == bought)
