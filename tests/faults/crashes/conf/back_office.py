"""gunicorn's settings for the back office: those of conf/back_office.py, for it has no part in a buy."""

from conf.back_office import *
