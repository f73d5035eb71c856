"""Commands of the Docker engine and of compose. A failure of one fails the test, with the end of its output."""

import json
import shutil
import subprocess
from typing import Any

import pytest


def inspect(container: str) -> Any:
    """Returns the description of a container, from `docker inspect`."""
    return json.loads(output_of("docker", "inspect", container))[0]


def is_healthy(container: str) -> bool:
    """Returns whether the health check of a container succeeds."""
    return bool(inspect(container)["State"]["Health"]["Status"] == "healthy")


def compose_command() -> list[str]:
    """Returns `docker compose` or `docker-compose`. Fails the test without either, or without an engine."""
    if not works("docker", "version"):
        pytest.fail("these tests need a Docker engine; `docker version` says what is missing", pytrace=False)
    for command in (["docker", "compose"], ["docker-compose"]):
        if works(*command, "version"):
            return command
    pytest.fail("these tests need `docker compose` or `docker-compose`", pytrace=False)


def works(*command: str) -> bool:
    """Returns whether a command exists and succeeds."""
    return shutil.which(command[0]) is not None and subprocess.run(command, capture_output=True).returncode == 0


def output_of(*command: str, environ: dict[str, str] | None = None) -> str:
    """Returns the standard output of a command. Its failure fails the test."""
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
        pytest.fail("\n".join([f"{' '.join(command)} ended with {done.returncode}:", *lines[-40:]]), pytrace=False)
    return done.stdout
