"""gunicorn's settings for a tier with crash points."""

from conf.front_end import *
from tests.faults.crashes.wiring import wire_front_end

wire_front_end()
