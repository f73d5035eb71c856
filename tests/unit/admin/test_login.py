"""python -m admin login: a link to the desk of the running store."""

import json
from pathlib import Path

import pytest

from tests.support.stub_server import answer_with, stub_server
from tests.support.tiers import free_port
from tests.unit.admin.conftest import Run
from wsgi_apps.login_links import LoginLinks

SECRET = "secret--" * 4


def test_it_prints_a_link_that_logs_in(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWNER_SECRET", SECRET)
    links = LoginLinks([SECRET])
    with stub_server(answer_with(200, {})) as port:
        monkeypatch.setenv("BACK_OFFICE_BIND", f"127.0.0.1:{port}")
        code, output, errors = run("login")
        assert (code, errors) == (0, "")
        assert output.startswith(f"http://127.0.0.1:{port}/login?token=") and output.count("\n") == 1
        assert links.redeem(output.strip().partition("token=")[2])
        code, output, errors = run("login", "--json")
        assert links.redeem(json.loads(output)["link"].partition("token=")[2])


def test_it_uses_the_secret_that_make_run_has_made(run: Run, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OWNER_SECRET", raising=False)
    monkeypatch.delenv("OWNER_SECRET_FILE", raising=False)
    links = LoginLinks([SECRET])
    with stub_server(answer_with(200, {})) as port:
        monkeypatch.setenv("BACK_OFFICE_BIND", f"127.0.0.1:{port}")
        code, output, errors = run("login")
        assert (code, output) == (2, "")
        why = f"OWNER_SECRET is not set, and there is no {store}/owner-secret, which `make run` would make"
        assert errors == f"toy store: {why}\n"
        (store / "owner-secret").write_text(SECRET)
        code, output, _ = run("login")
        assert code == 0 and links.redeem(output.strip().partition("token=")[2])


def test_it_prints_no_link_for_a_desk_that_does_not_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The desk takes no link that is older than itself."""
    monkeypatch.setenv("OWNER_SECRET", SECRET)
    monkeypatch.setenv("BACK_OFFICE_BIND", f"127.0.0.1:{free_port()}")
    code, output, errors = run("login")
    assert (code, output) == (2, "")
    assert "the back office does not answer at http://127.0.0.1:" in errors
