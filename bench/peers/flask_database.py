"""The database of the Flask systems: SQLAlchemy on SQLite at full durability, by SQLAlchemy's own recipes."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from bench.limit import threads
from bench.peers.system import PRICE, all_products, first_stock, product_name

BUSY_TIMEOUT_S = 10


class Base(DeclarativeBase):
    """The tables of both Flask systems. A tier creates only its own."""


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
    """Returns an engine with a connection for each thread. The option begin="IMMEDIATE" takes the write lock at BEGIN.

    It follows https://docs.sqlalchemy.org/en/20/dialects/sqlite.html, on transactions with SQLite and the sqlite3
    driver: isolation_level=None keeps the driver from beginning transactions, and SQLAlchemy begins them.
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
    """Returns the engine for transactions that write."""
    return engine.execution_options(begin="IMMEDIATE")


def create_tables(path: Path, *models: type[Base]) -> None:
    """Creates a database with these tables. A table of products gets the products that all systems sell."""
    engine = open_engine(str(path))
    Base.metadata.create_all(engine, [Base.metadata.tables[model.__tablename__] for model in models])
    if Product in models:
        _load_products(engine)
    engine.dispose()


def _load_products(engine: Engine) -> None:
    """Adds the products that all systems sell."""
    with Session(engine) as session, session.begin():
        for number in all_products():
            session.add(
                Product(name=product_name(number), price_cents=round(PRICE * 100), quantity=first_stock(number))
            )
