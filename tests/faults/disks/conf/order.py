"""gunicorn's settings for the order tier on a disk that fails on demand: the file named by FAULT_SWITCH says how."""

from conf.order import *
from tests.faults.disks.faulty_disk import fail_in_this_process

fail_in_this_process()
