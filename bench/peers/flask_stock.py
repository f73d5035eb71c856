"""The products in both Flask systems: a look at one, and the guarded decrement."""

from pathlib import Path
from typing import Any

from flask import Flask, abort, jsonify
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from bench.peers.flask_database import Base, Product, open_engine
from bench.peers.system import PRICE, all_products, first_stock, product_name


def find(session: Session, name: str) -> dict[str, Any]:
    """The product as JSON. Raises NotFound."""
    product = session.get(Product, name)
    if product is None:
        abort(404, "product not found")
    return {"name": product.name, "price": product.price_cents / 100, "quantity": product.quantity}


def take(session: Session, name: str, quantity: int) -> None:
    """Take pieces from the stock. Raises NotFound, also when too few are left."""
    enough = (Product.name == name) & (Product.quantity >= quantity)
    done = session.execute(
        update(Product).where(enough).values(quantity=Product.quantity - quantity),
        execution_options={"synchronize_session": False},
    )
    if not done.rowcount:  # type: ignore[attr-defined]
        known = session.scalar(select(Product.name).where(Product.name == name))
        abort(404, "out of stock" if known else "product not found")


def create_tables(path: Path, *models: type[Base]) -> None:
    """Make a new database with these tables, and with the products that all systems sell if they are among them."""
    engine = open_engine(str(path))
    Base.metadata.create_all(engine, [Base.metadata.tables[model.__tablename__] for model in models])
    if Product in models:
        _load_products(engine)
    engine.dispose()


def answer_errors_as_json(app: Flask) -> None:
    """As the store does."""

    @app.errorhandler(HTTPException)
    def reply(error: HTTPException) -> Any:
        return jsonify(error={"code": error.code, "message": error.description}), error.code or 500


def _load_products(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        for number in all_products():
            session.add(
                Product(name=product_name(number), price_cents=round(PRICE * 100), quantity=first_stock(number))
            )
