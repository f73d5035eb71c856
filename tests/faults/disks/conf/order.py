"""gunicorn's settings for a tier on a disk that fails when told to."""

from conf.order import *
from tests.faults.disks.faulty_disk import fail_in_this_process

fail_in_this_process()
