"""gunicorn's settings for the catalog on a disk that fails on demand: the file named by FAULT_SWITCH says how."""

from conf.catalog import *
from tests.faults.disks.faulty_disk import fail_in_this_process

fail_in_this_process()
