"""The text of each migration that was released stays as it is: stores have it in them, and compare it with the files.

SQLite keeps the text of a schema, which the audit compares; PostgreSQL has the checksum of each migration in its table
`migrations`. A new migration gets its line here with its release.
"""

import hashlib
from pathlib import Path

MIGRATIONS = Path(__file__).parents[3] / "migrations"
# The SHA-256 of each file.
RELEASED = {
    "catalog/0001_catalog.sql": "b737f80ac5e39757990d3dd4a334e97fbbed3f825e39ccddb44b7ff71a101d0e",
    "catalog/0002_product_history.sql": "0c1d3cb389286a704da3cdb5677959eea99a6062b41c865f076bfbf4eb406abd",
    "catalog/0003_store_id.sql": "f7befa63431bab3ae9415d643a40af03a81689453de20d87ac09c04a092eca4c",
    "catalog/0004_ledger_first.sql": "65d63e4353bc48d236b0157cea85ada5a46b93a9d21e4c783ac3903353a9a2d1",
    "catalog/0005_folded_names.sql": "babaf16a8528c92fee7859cc7f9b69d02001b5f504b5163a35e2d146b1a0d7e3",
    "catalog/0006_name_of_the_program.sql": "960ffc580c5d35a0efcca5610045a87ee29d1ad516b58bd5d234898b8737f532",
    "catalog/0007_returns.sql": "1a9a5591e87c64891a9ff31d49d4c2861c8e53feab3b66eb6896698639562dc0",
    "order/0001_order.sql": "fa76c1b42db24cc874ba0bbf70a331471511bdcbe29d1e5bb948a6f3d698e596",
    "order/0002_store_id.sql": "acdcfdde3515f8c29e650c1281c0f61da0c726b4508068179a82218deee76347",
    "order/0003_explained_orders.sql": "b193eabd9b97f685cbf4845f4b07b8b9c80f30e0077bef335b0ce921a8dbca6b",
    "order/0004_returns.sql": "72556a6a46cd5e5440f0567851aaf6eaf403ff3f54d2d71ed0c1898ef2cb55b6",
    "order/0005_refused_by_time.sql": "3ee99b3daaf2a43e01350bfe38ebfacab95b0cf2dc13f79570929415349c77f1",
    "postgres/catalog/0001_catalog.sql": "b560cf4350fb019c4fb7291315e72b4b498d9b37637dc3746fdc9b40b79c76d3",
    "postgres/log/0001_log.sql": "d849c77517ccd32c83ab394e245f9b16d9088b658b58e683a58e56773b23ac55",
}


def test_a_released_migration_is_never_edited() -> None:
    assert {name: hashlib.sha256((MIGRATIONS / name).read_bytes()).hexdigest() for name in RELEASED} == RELEASED


def test_each_migration_has_its_line() -> None:
    assert {str(path.relative_to(MIGRATIONS)) for path in MIGRATIONS.rglob("*.sql")} == RELEASED.keys()
