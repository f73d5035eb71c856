"""How gunicorn serves the tiers: one thread for all that can be done at once, others for what must wait."""
