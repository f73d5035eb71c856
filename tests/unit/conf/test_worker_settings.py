"""A worker keeps the secret of its master process when TIER_SECRET_FILE cannot be read any more."""

import logging
from pathlib import Path

import pytest

from conf import worker_settings
from conf.settings import load
from conf.variables import SettingsError
from conf.worker_settings import keep_for_workers, load_in_worker

OLD, NEW = "old-" * 8, "new-" * 8


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the secret OLD, which TIER_SECRET_FILE names, where no master has kept settings yet."""
    file = tmp_path / "secret"
    file.write_text(OLD)
    monkeypatch.setenv("TIER_SECRET_FILE", str(file))
    monkeypatch.delenv("TIER_SECRET", raising=False)
    monkeypatch.setattr(worker_settings, "_kept", [])
    return file


def test_a_worker_reads_the_file_again(secret: Path) -> None:
    keep_for_workers(load())
    secret.write_text(NEW)
    settings = load_in_worker()
    assert settings.secrets is not None and settings.secrets.values == (NEW,)
    assert settings == load()


@pytest.mark.parametrize("content", [None, "", "too short"])
def test_a_worker_keeps_the_masters_secret_when_the_file_is_invalid(
    secret: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    kept = load()
    keep_for_workers(kept)
    if content is None:
        secret.unlink()
    else:
        secret.write_text(content)
    with caplog.at_level(logging.WARNING, worker_settings.__name__):
        assert load_in_worker() is kept
    [line] = caplog.messages
    assert "TIER_SECRET_FILE" in line and line.endswith("; this worker uses the secret that its master has read before")
    assert OLD not in line


def test_without_a_master_an_invalid_file_ends_the_start(secret: Path) -> None:
    secret.write_text("")
    with pytest.raises(SettingsError, match=r"^TIER_SECRET_FILE is empty"):
        load_in_worker()
