"""Loads the settings in a worker process, or keeps those of its master when they are invalid.

A worker has the environment of its master process, but reads the file in TIER_SECRET_FILE again, so a reload changes
the secret. A file that is empty or missing at that moment must not end the tier: the worker then uses the settings that
the master has read last.
"""

import logging

from conf.settings import Settings, load
from conf.variables import SettingsError

_log = logging.getLogger(__name__)

# The master process fills it, and its workers inherit it by the fork.
_kept: list[Settings] = []


def keep_for_workers(settings: Settings) -> None:
    """Keeps these settings for the workers that this master process forks from now on."""
    _kept[:] = [settings]


def load_in_worker() -> Settings:
    """Returns the settings; when they are invalid, those that the master process has kept.

    Raises SettingsError when they are invalid and no master has kept any, as under another server than gunicorn.
    """
    try:
        return load()
    except SettingsError as error:
        if not _kept:
            raise
        _log.warning("%s; this worker uses the secret that its master has read before", error)
        return _kept[0]
