"""The queries of both Flask systems: find a product, take pieces by a guarded UPDATE, insert an order."""

from datetime import UTC, datetime
from typing import Any, cast

from flask import Flask, abort, jsonify
from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from bench.peers.flask_database import Order, Product


def json_app() -> Flask:
    """Returns an app that answers errors in JSON, as the store does."""
    app = Flask(__name__)

    @app.errorhandler(HTTPException)
    def reply(error: HTTPException) -> Any:
        return jsonify(error={"code": error.code, "message": error.description}), error.code or 500

    return app


def find(session: Session, name: str) -> dict[str, Any]:
    """Returns the product for the JSON response. Raises NotFound."""
    product = session.get(Product, name)
    if product is None:
        abort(404, "product not found")
    return {"name": product.name, "price": product.price_cents / 100, "quantity": product.quantity}


def take(session: Session, name: str, quantity: int) -> None:
    """Takes pieces from the stock. Raises NotFound, also when too few are left."""
    enough = (Product.name == name) & (Product.quantity >= quantity)
    done = session.execute(
        update(Product).where(enough).values(quantity=Product.quantity - quantity),
        execution_options={"synchronize_session": False},
    )
    if not cast("CursorResult[Any]", done).rowcount:  # an UPDATE returns a CursorResult
        known = session.scalar(select(Product.name).where(Product.name == name))
        abort(404, "out of stock" if known else "product not found")


def log_order(session: Session, name: str, quantity: int) -> int:
    """Inserts an order, and returns its number."""
    order = Order(product=name, quantity=quantity, time=datetime.now(UTC).isoformat(timespec="milliseconds"))
    session.add(order)
    session.flush()
    return order.number
