"""The settings of a worker process.

A worker has the environment of its master process, but the file in TIER_SECRET_FILE may have changed since the master
read it: a reload thus changes the secret. A file that is empty or missing at that moment must not end the tier, so the
worker then keeps the settings that the master has read last.
"""

import logging

from conf.settings import Settings, SettingsError, load

_log = logging.getLogger(__name__)

# The master process fills it, and its workers inherit it by the fork.
_kept: list[Settings] = []


def keep_for_workers(settings: Settings) -> None:
    """Keeps these settings for the workers that this master process forks from now on."""
    _kept[:] = [settings]


def forget_for_workers() -> None:
    """Forgets the settings that were kept."""
    _kept.clear()


def load_in_worker() -> Settings:
    """Returns the settings, or those that the master process keeps when they cannot be loaded.

    Raises SettingsError where no master has kept any, as under another server than gunicorn.
    """
    try:
        return load()
    except SettingsError as error:
        if not _kept:
            raise
        _log.warning("%s; this worker uses the secret that its master has read before", error)
        return _kept[0]
