"""The order log in both Flask systems."""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from bench.peers.flask_database import Order


def log_order(session: Session, name: str, quantity: int) -> int:
    """Insert an order; its number."""
    order = Order(product=name, quantity=quantity, time=datetime.now(UTC).isoformat(timespec="milliseconds"))
    session.add(order)
    session.flush()
    return order.number
