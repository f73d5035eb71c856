"""SQLAlchemy on SQLite at full durability, by the recipes of its documentation."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from bench.limit import threads
from bench.peers.system import PRICE, all_products, first_stock, product_name

BUSY_TIMEOUT_S = 10


class Base(DeclarativeBase):
    """The tables of both Flask systems; a tier makes those that are its own."""


class Product(Base):
    __tablename__ = "products"

    name: Mapped[str] = mapped_column(primary_key=True)
    price_cents: Mapped[int]
    quantity: Mapped[int]


class Order(Base):
    __tablename__ = "orders"

    number: Mapped[int] = mapped_column(primary_key=True)
    product: Mapped[str]
    quantity: Mapped[int]
    time: Mapped[str]


def open_engine(path: str) -> Engine:
    """One connection for each thread. Transactions with the option begin="IMMEDIATE" have the write lock at once.

    https://docs.sqlalchemy.org/en/20/dialects/sqlite.html, on transactions with SQLite and the sqlite3 driver: the
    driver begins no transaction by itself, and so SQLAlchemy does.
    """
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_S}, pool_size=threads)

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Any) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begin', 'DEFERRED')}")

    return engine


def writing(engine: Engine) -> Engine:
    """The same engine, for transactions that write."""
    return engine.execution_options(begin="IMMEDIATE")


def create_tables(path: Path, *models: type[Base]) -> None:
    """Make a new database with these tables, and with the products that all systems sell if they are among them."""
    engine = open_engine(str(path))
    Base.metadata.create_all(engine, [Base.metadata.tables[model.__tablename__] for model in models])
    if Product in models:
        _load_products(engine)
    engine.dispose()


def _load_products(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        for number in all_products():
            session.add(
                Product(name=product_name(number), price_cents=round(PRICE * 100), quantity=first_stock(number))
            )
