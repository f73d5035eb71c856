"""gunicorn's settings for the catalog with crash points: those of conf/catalog.py, and the patches of the store."""

from conf.catalog import *
from tests.faults.crashes.wiring import wire_catalog

wire_catalog()
