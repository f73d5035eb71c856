"""gunicorn's settings for the order tier with crash points: those of conf/order.py, and the patches of the store."""

from conf.order import *
from tests.faults.crashes.wiring import wire_order

wire_order()
