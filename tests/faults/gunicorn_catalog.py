"""gunicorn's settings for a catalog tier on a disk that fails when told to."""

from typing import Any

from conf.catalog import *  # noqa: F403
from tests.faults.faulty_disk import fail_in_this_process


def post_fork(_server: Any, _worker: Any) -> None:
    fail_in_this_process()
