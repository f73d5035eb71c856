"""gunicorn's settings for a tier with crash points."""

from conf.order import *
from tests.faults.crashes.wiring import wire_order

wire_order()
