"""Starts a tier with its settings named as a module, `python:conf.catalog`, which gunicorn accepts too."""

from pathlib import Path

import requests

from tests.support.tiers import Tiers


def test_a_tier_starts_with_its_settings_named_as_a_module(tmp_path: Path) -> None:
    tiers = Tiers(tmp_path / "data", {"catalog": "python:conf.catalog"})
    try:
        tiers.start("catalog")
        assert requests.get(f"{tiers.url('catalog')}/products/Tux", timeout=10).status_code == 200
    finally:
        tiers.stop()
