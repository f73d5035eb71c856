"""The secret of the owner that `make run` makes, and the links that log in by it.

`python -m conf.owner_secret FILE` makes the file of a secret, as compose.yaml does for its containers.
"""

import secrets
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from conf.settings import Settings, refuse_to_start, with_owner_secret_file
from conf.variables import SettingsError
from db.sqlite.staging import PRIVATE_FOLDER, InTheWay, staged
from wsgi_apps.login_links import new_login_token

FILE_NAME = "owner-secret"  # in DATA_DIR


def secret_file(settings: Settings) -> Path:
    """Returns the path of the file with the secret that `make run` makes."""
    return settings.data_dir.absolute() / FILE_NAME


def make_secret_file(path: Path) -> str | None:
    """Makes the file, which only its owner may read, unless it is there. Returns a warning if others may read it.

    The file appears under its name when it is complete and synced, and an existing one is never overwritten. Raises
    OSError.
    """
    if not path.exists():
        path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        try:
            with staged(path.parent, [path.name]) as folder:
                (folder / path.name).write_text(f"{secrets.token_urlsafe(32)}\n", "ascii")
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


def main(arguments: Sequence[str]) -> None:
    """Makes the file that is named, unless it is there. Ends the program with exit code 2 when it cannot."""
    if len(arguments) != 1:
        refuse_to_start("usage: python -m conf.owner_secret FILE")
    try:
        warning = make_secret_file(Path(arguments[0]))
    except OSError as error:
        refuse_to_start(f"{arguments[0]}: cannot make the secret of the owner: {error.strerror}")
    if warning:
        print(f"toy store: {warning}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
