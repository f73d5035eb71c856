"""Chooses the store by the settings: PostgreSQL where the address of a database is set, else SQLite's files."""

from typing import TYPE_CHECKING

from admin.stores import Store
from admin.stores.files import FileStore
from conf.settings import Settings
from conf.variables import SettingsError

if TYPE_CHECKING:
    from admin.stores.postgres import PostgresStore


def open_store(settings: Settings) -> Store:
    """Returns the store. Opens nothing. Raises SettingsError and StartRefused."""
    return open_postgres(settings) if is_on_postgres(settings) else FileStore(settings.data_dir)


def is_on_postgres(settings: Settings) -> bool:
    """Whether a part of the store is on PostgreSQL."""
    return settings.catalog_database is not None or settings.order_database is not None


def open_postgres(settings: Settings) -> "PostgresStore":
    """Returns the store on PostgreSQL, of which one address may be missing. Raises as `open_store` does."""
    try:
        from admin.stores.postgres import PostgresStore

        return PostgresStore(settings.catalog_database, settings.order_database)
    except ModuleNotFoundError as error:
        raise SettingsError(f"PostgreSQL needs the package {error.name}: make install-postgres") from error
