"""gunicorn's settings for a tier whose disk fails on demand, see FAULT_SWITCH."""

from conf.order import *
from tests.faults.disks.faulty_disk import fail_in_this_process

fail_in_this_process()
