"""gunicorn's settings for a tier that dies where it is told to."""

from conf.order import *
from tests.faults.crashes.wiring import wire_order

wire_order()
