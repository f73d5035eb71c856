"""gunicorn's settings for a tier that dies where it is told to."""

from conf.front_end import *
from tests.faults.crashes.wiring import wire_front_end

wire_front_end()
