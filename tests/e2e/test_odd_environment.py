"""Programs in unusual environments: a percent sign in TMPDIR, wrong settings of other tiers, hostile messages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from werkzeug.wrappers import Response

from tests.support.stub_server import stub_server
from tests.support.supervised_store import SupervisedStore
from tests.support.tiers import NAMES, ROOT, Tiers, clean_environment


@pytest.mark.parametrize("name", ["100% %(x)s", "%"])
def test_the_folder_for_temporary_files_may_have_a_percent_sign(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with SupervisedStore(tmp_path / "data", TMPDIR=str(folder)) as store:
        assert "toy store" in store.output()


@pytest.mark.parametrize("name", NAMES)
def test_a_health_check_reads_only_the_address_of_its_tier(tmp_path: Path, name: str) -> None:
    tiers = Tiers(tmp_path / "data")
    others = [f"{variable}_BIND" for variable in ("CATALOG", "ORDER", "FRONT") if not name.startswith(variable.lower())]
    wrong = dict.fromkeys(others, ":") | {"DATA_DIR": "~nobody-known", "TIER_SECRET_FILE": "/nowhere", "p": "abc"}
    ended = subprocess.run(
        [sys.executable, "-m", "conf.health", name],
        cwd=ROOT,
        env=tiers.environment | wrong,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (1, f"{name} at {tiers.url(name)}: does not answer\n")


def test_a_health_check_escapes_control_characters(tmp_path: Path) -> None:
    hostile = json.dumps({"error": {"code": 503, "message": "\x1b]0;owned\x07"}})
    with stub_server(lambda _request: Response(hostile, 503)) as port:
        ended = subprocess.run(
            [sys.executable, "-m", "conf.health", "catalog"],
            cwd=ROOT,
            env=clean_environment() | {"CATALOG_BIND": f"127.0.0.1:{port}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (1, f"catalog at http://127.0.0.1:{port}: \\x1b]0;owned\\x07\n")


@pytest.mark.parametrize("command", [["make", "help"], [sys.executable, "-m", "conf.run", "--help"]])
def test_help_works_with_wrong_settings(command: list[str]) -> None:
    wrong = {"CATALOG_BIND": ":", "p": "abc", "DATA_DIR": "~nobody-known"}
    ended = subprocess.run(
        command, cwd=ROOT, env=clean_environment() | wrong, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0
    assert "CATALOG_BIND" in ended.stdout and "Traceback" not in ended.stderr
