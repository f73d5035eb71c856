"""gunicorn's other way to name a settings file."""

from pathlib import Path

from tests.support.tiers import Tiers


def test_a_tier_starts_from_a_module_too(tmp_path: Path) -> None:
    tiers = Tiers(tmp_path / "data", {"catalog": "python:conf.catalog"})
    try:
        tiers.start("catalog")
    finally:
        tiers.stop()
