"""The owner's role at real tiers: what only the owner may ask, with each secret, and where no owner is set."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.tiers import Tiers

OWNER, TIER, WRONG = "owner---" * 4, "tier----" * 4, "wrong---" * 4
# The tier, and a request that only the owner may make.
REQUESTS = [
    ("order", "POST", "/orders/0/returns"),
    ("order", "GET", "/v1/owner/books"),
    ("catalog", "GET", "/v1/owner/stock"),
]


@pytest.fixture(scope="module", params=[{}, {"TIER_SECRET": TIER}], ids=["open", "with TIER_SECRET"])
def tiers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiers]:
    """Catalog and order tier that know their owner, and perhaps the other tiers by a secret, too."""
    tiers = Tiers(tmp_path_factory.mktemp("tiers") / "data", OWNER_SECRET=OWNER, **request.param)
    try:
        tiers.start("catalog", "order")
        yield tiers
    finally:
        tiers.stop()


def ask(tiers: Tiers, tier: str, method: str, path: str, secret: str | None) -> requests.Response:
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    return requests.request(method, tiers.url(tier) + path, headers=headers, timeout=30)


@pytest.mark.parametrize(("tier", "method", "path"), REQUESTS)
def test_the_owner_is_asked_for_the_secret(tiers: Tiers, tier: str, method: str, path: str) -> None:
    for secret in (None, WRONG, OWNER[:-1]):
        refused = ask(tiers, tier, method, path, secret)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="toy store"')
    of_a_tier = ask(tiers, tier, method, path, TIER)
    assert of_a_tier.status_code == (403 if "TIER_SECRET" in tiers.environment else 401)
    assert ask(tiers, tier, method, path, OWNER).status_code not in (401, 403)


def test_a_catalog_that_knows_its_owner_takes_back_for_the_owner_alone(tiers: Tiers) -> None:
    """The front end knows the key of each sale. It could otherwise put the pieces back, and sell them again."""

    def take_back(secret: str | None) -> int:
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        rows = [["forged", "key-of-a-sale", "Tux", 1, None]]
        return requests.post(f"{tiers.url('catalog')}/v1/returns", json=rows, headers=headers, timeout=30).status_code

    assert (take_back(None), take_back(WRONG)) == (401, 401)
    assert take_back(TIER) == (403 if "TIER_SECRET" in tiers.environment else 401)
    assert take_back(OWNER) == 200


@pytest.mark.parametrize("settings", [{}, {"TIER_SECRET": TIER}], ids=["open", "with TIER_SECRET"])
def test_tiers_without_an_owner_are_closed_and_say_what_to_set(tmp_path: Path, settings: dict[str, str]) -> None:
    tiers = Tiers(tmp_path / "data", **settings)
    try:
        tiers.start("catalog", "order")
        for tier, method, path in REQUESTS:
            refused = ask(tiers, tier, method, path, TIER)
            assert refused.status_code == 403
            message = refused.json()["error"]["message"]
            assert message == "only the owner may do this, and this tier knows none: set its OWNER_SECRET"
    finally:
        tiers.stop()
