"""The version of the store: of all tiers and programs together.

pyproject.toml reads it from here, for the code runs from a checkout or an image, without being installed.
"""

__version__ = "0.1.0"
