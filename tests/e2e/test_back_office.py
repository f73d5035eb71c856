"""The back office of a running store: the link of `make run`, who knows the secret, and where it listens."""

import re
import stat
from pathlib import Path

import pytest
import requests

from conf.addresses import Address, reachable_addresses
from tests.support.failed_starts import failed_start
from tests.support.supervised_store import SupervisedStore
from tests.support.tiers import NAMES, Tiers, children, descendants, free_port
from tests.support.waiting import wait_until

SECRET = "secret--" * 4
BROWSER = {"Accept": "text/html"}


def link_of(store: SupervisedStore) -> str:
    """Waits until `make run` has printed its link, and returns it."""

    pattern = re.compile(r"^http://\S+/login\?token=\S+$", re.MULTILINE)
    wait_until("the link is printed", lambda: bool(pattern.search(store.output())), details=store.output)
    [link] = pattern.findall(store.output())
    return str(link)


def open_link(link: str) -> requests.Response:
    """Opens a link in a new browser, which follows no redirect."""
    return requests.get(link, headers=BROWSER, allow_redirects=False, timeout=10)


def environment_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


def test_the_link_of_make_run_opens_the_desk_once_and_no_restart_replays_it(tmp_path: Path) -> None:
    with SupervisedStore(tmp_path / "data", GUNICORN_CMD_ARGS="--access-logfile -") as store:
        link = link_of(store)
        assert link.startswith(store.url("back_office") + "/login?token=")
        first = open_link(link)
        assert (first.status_code, first.headers["Location"]) == (303, "/")
        headers = {**BROWSER, "Cookie": first.headers["Set-Cookie"].partition(";")[0]}

        def is_in() -> bool:
            url = store.url("back_office") + "/nowhere"
            return requests.get(url, headers=headers, allow_redirects=False, timeout=10).status_code == 404

        assert is_in()
        assert open_link(link).status_code == 403
        before = store.master("back_office")
        store.kill("back_office", "master")

        def is_restarted() -> bool:
            try:
                return store.master("back_office") != before
            except (ValueError, OSError):  # supervisord has not restarted it yet
                return False

        wait_until("the back office is restarted", is_restarted)
        store.wait_until_all_answer()
        again = open_link(link)
        assert (again.status_code, "Set-Cookie" in again.headers) == (403, False)
        assert is_in(), "a restart logs nobody out"
        token = link.partition("token=")[2]
        wait_until("the access log has all", lambda: store.output().count("GET /login?token=...") == 3)
        assert store.output().count(token) == 1, "the link of the banner alone"


def test_make_run_makes_a_secret_that_the_front_end_does_not_know(tmp_path: Path) -> None:
    file = tmp_path / "data" / "owner-secret"
    with SupervisedStore(tmp_path / "data") as store:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        for name in (*NAMES, "back_office"):
            master = store.master(name)
            for pid in [master, *children(master)]:
                assert (f"OWNER_SECRET_FILE={file}\0" in environment_of(pid)) == (name != "front_end"), name
        secret = file.read_text().strip()
        headers = {"Authorization": f"Bearer {secret}"}
        assert requests.get(store.url("back_office") + "/nowhere", headers=headers, timeout=10).status_code == 404
    with SupervisedStore(tmp_path / "data") as store:
        assert file.read_text().strip() == secret


def test_make_run_takes_the_secret_that_is_set_and_hides_it_from_the_front_end(tmp_path: Path) -> None:
    with SupervisedStore(tmp_path / "data", OWNER_SECRET=SECRET) as store:
        assert not (tmp_path / "data" / "owner-secret").exists()
        headers = {"Authorization": f"Bearer {SECRET}"}
        assert requests.get(store.url("back_office") + "/nowhere", headers=headers, timeout=10).status_code == 404
        for pid in descendants(store.master("front_end")):
            assert "OWNER_SECRET" not in environment_of(pid)
        assert "OWNER_SECRET" not in environment_of(store.master("front_end"))
        assert SECRET not in store.output()


def test_a_secret_that_others_may_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "owner-secret").write_text(SECRET)
    (tmp_path / "data" / "owner-secret").chmod(0o644)
    with SupervisedStore(tmp_path / "data") as store:
        assert f"toy store: {tmp_path}/data/owner-secret may be read by other users of this machine" in store.output()


def test_a_desk_on_every_address_prints_one_that_other_machines_reach(tmp_path: Path) -> None:
    port = free_port()
    [own] = reachable_addresses(Address("0.0.0.0", port))
    with SupervisedStore(tmp_path / "data", BACK_OFFICE_BIND=f"0.0.0.0:{port}") as store:
        assert re.search(rf"desk +http://127\.0\.0\.1:{port}(?:, {re.escape(own.url)})? ", store.output())
        assert link_of(store).startswith(f"http://127.0.0.1:{port}/login?token=")
        assert requests.get(f"{own.url}/login", headers=BROWSER, timeout=10).status_code == 200


def test_a_back_office_without_a_secret_does_not_start_and_says_how(tmp_path: Path) -> None:
    ended = failed_start("back_office", DATA_DIR=str(tmp_path))
    assert ended.returncode == 2
    [line] = (ended.stdout + ended.stderr).splitlines()
    assert line.startswith("toy store: back_office: set OWNER_SECRET, or OWNER_SECRET_FILE, here and at catalog and")


@pytest.mark.parametrize("options", ["-b 0.0.0.0:{port}", "-k sync --threads 1", "--reuse-port"])
def test_an_option_of_gunicorn_opens_no_desk(tmp_path: Path, options: str) -> None:
    arguments = options.format(port=free_port())
    ended = failed_start("back_office", DATA_DIR=str(tmp_path), OWNER_SECRET=SECRET, GUNICORN_CMD_ARGS=arguments)
    assert ended.returncode != 0
    assert re.search(r"toy store: back_office: gunicorn's \w+", ended.stdout + ended.stderr)


def test_the_back_office_starts_alone_and_waits_for_the_tiers_behind(tmp_path: Path) -> None:
    tiers = Tiers(tmp_path / "data", OWNER_SECRET=SECRET, GUNICORN_CMD_ARGS="-w 3")
    try:
        tiers.start("back_office")
        assert len(tiers.workers("back_office")) == 1, "a second one would not know which sessions have ended"
        url = tiers.url("back_office") + "/ready"
        assert requests.get(url, timeout=10).status_code == 503
        tiers.start("catalog", "order")
        wait_until("it is ready", lambda: requests.get(url, timeout=10).status_code == 200)
        assert "slower" not in "".join(line for line in tiers.log.read_text().splitlines() if "back_office" in line)
    finally:
        tiers.stop()
