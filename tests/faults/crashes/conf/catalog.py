"""gunicorn's settings for a tier with crash points."""

from conf.catalog import *
from tests.faults.crashes.wiring import wire_catalog

wire_catalog()
