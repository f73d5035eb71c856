"""gunicorn's settings for the front end with crash points: those of conf/front_end.py, and the patches of the store."""

from conf.front_end import *
from tests.faults.crashes.wiring import wire_front_end

wire_front_end()
