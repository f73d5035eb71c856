"""The secret of the owner that `make run` makes, and the links that log in by it."""

import secrets
import stat
from pathlib import Path

from conf.settings import Settings, SettingsError, with_owner_secret_file
from db.staging import InTheWay, staged
from wsgi_apps.login_links import new_login_token

FILE_NAME = "owner-secret"  # in DATA_DIR


def secret_file(settings: Settings) -> Path:
    """Returns the path of the file with the secret that `make run` makes."""
    return settings.data_dir.absolute() / FILE_NAME


def make_secret_file(settings: Settings) -> str | None:
    """Makes the file, which only its owner may read, unless it is there. Returns a warning if others may read it.

    The file appears under its name when it is complete and synced, and an existing one is never overwritten. Raises
    OSError.
    """
    path = secret_file(settings)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with staged(path.parent, [FILE_NAME]) as folder:
                (folder / FILE_NAME).write_text(f"{secrets.token_urlsafe(32)}\n", "ascii")
        except InTheWay:
            pass  # another run has made it at the same moment, and both use it
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return f"{path} may be read by other users of this machine, and whoever has it is the owner: chmod 600 it"
    return None


def with_owner(settings: Settings) -> Settings:
    """Returns the settings with the secret of the owner: the one that is set, else the one that `make run` made.

    Raises SettingsError when there is neither.
    """
    if settings.owner_secrets is not None:
        return settings
    path = secret_file(settings)
    if not path.exists():
        raise SettingsError(f"OWNER_SECRET is not set, and there is no {path}, which `make run` would make")
    return with_owner_secret_file(settings, path)


def login_link(settings: Settings) -> str:
    """Returns a link that logs the owner in once, within an hour. `settings` have the secret of the owner."""
    assert settings.owner_secrets is not None
    token = new_login_token(settings.owner_secrets.values[0])
    return f"{settings.back_office.address.url}/login?token={token}"
