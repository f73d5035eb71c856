"""gunicorn's settings for a tier that dies where it is told to."""

from conf.catalog import *
from tests.faults.crashes.wiring import wire_catalog

wire_catalog()
