"""/ready and `python -m conf.health --ready`: a living tier that cannot work is not ready, and names the reason."""

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.support.tiers import NAMES, ROOT, Tiers, running
from tests.support.waiting import wait_until

TIMEOUT_S = 10.0


def ready(tiers: Tiers, name: str) -> tuple[int, str]:
    """Returns the status and the reason of GET /ready."""
    response = requests.get(f"{tiers.url(name)}/ready", timeout=TIMEOUT_S)
    if response.status_code == 200:
        assert response.json() == {"data": {"status": "ready"}}
        return 200, ""
    assert int(response.headers["Retry-After"]) >= 1
    return response.status_code, response.json()["error"]["message"]


def health_check(tiers: Tiers, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m conf.health` with these arguments."""
    command = [sys.executable, "-m", "conf.health", *arguments]
    return subprocess.run(command, cwd=ROOT, env=tiers.environment, capture_output=True, text=True, timeout=60)


def test_tiers_are_not_ready_but_alive_while_the_catalog_is_down(tmp_path: Path) -> None:
    with running(tmp_path / "data") as tiers:
        assert [ready(tiers, name) for name in NAMES] == [(200, "")] * 3
        assert requests.post(f"{tiers.url('front_end')}/Tux/1", timeout=TIMEOUT_S).status_code == 200
        tiers.stop("catalog")
        wait_until("the order tier misses the catalog", lambda: ready(tiers, "order")[0] == 503, timeout_s=20)
        assert ready(tiers, "order") == (503, "not ready: catalog: does not answer")

        def front_end_misses_both() -> bool:
            status, why = ready(tiers, "front_end")
            return status == 503 and "catalog: does not answer" in why and "order tier: not ready" in why

        wait_until("the front end misses both", front_end_misses_both, timeout_s=20)
        for name in ("front_end", "order"):
            assert requests.get(f"{tiers.url(name)}/health", timeout=TIMEOUT_S).status_code == 200, "the tier is alive"
            assert health_check(tiers, name).returncode == 0
            missing = health_check(tiers, "--ready", name)
            assert missing.returncode == 1
            assert "not ready: catalog: does not answer" in missing.stderr
        assert requests.post(f"{tiers.url('front_end')}/Tux/1", timeout=20).status_code == 503
        tiers.start("catalog")
        wait_until(
            "all are ready again", lambda: [ready(tiers, name) for name in NAMES] == [(200, "")] * 3, timeout_s=20
        )
        assert health_check(tiers, "--ready", "front_end").returncode == 0
        lines = [line for line in tiers.log.read_text().splitlines() if "the catalog at" in line]
    lost, found = ([line for line in lines if word in line] for word in ("does not answer", "answers again"))
    # The order tier has one worker and the front end two. Each worker logs for itself.
    assert 2 <= len(lost) <= 3, lines
    assert 1 <= len(found) <= len(lost), "a worker without a later request does not log it"


@pytest.mark.parametrize(
    "arguments", [[], ["--ready"], ["shop"], ["catalog", "order"], ["--ready", "--ready", "order"]]
)
def test_wrong_arguments_print_the_usage(tmp_path: Path, arguments: list[str]) -> None:
    ended = health_check(Tiers(tmp_path / "data"), *arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith("usage: python -m conf.health [--ready] catalog|order|front_end")


def test_help_is_exit_code_0(tmp_path: Path) -> None:
    ended = health_check(Tiers(tmp_path / "data"), "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage: python -m conf.health [--ready] catalog|order|front_end|back_office\n")
