"""gunicorn's settings of the Flask apps: those of the limit, the fastest that were found on this machine.

FLASK_WORKERS sets the number of workers, to compare numbers. In two noisy comparisons with 8, 32 and 128 clients, two
workers answered 1.2 to 4.6 times as many queries as one, and three tiers took 1.4 to 1.8 times as many buys. Buys in
one tier wait for one write lock and for the disk: the number made no difference beyond the noise.
"""

import os

from bench.limit import *

workers = int(os.environ.get("FLASK_WORKERS", "2"))
