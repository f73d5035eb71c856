"""A store in one tier on Flask and SQLAlchemy, written by common practice. DATABASE is the path of its database."""

import os
from typing import Any

from flask import Flask
from sqlalchemy.orm import Session

from bench.peers.flask_database import open_engine, writing
from bench.peers.flask_sales import find, json_app, log_order, take


def create_app() -> Flask:
    """Returns an app that answers queries, and sells and logs a buy in one transaction."""
    app = json_app()
    engine = open_engine(os.environ["DATABASE"])
    writing_engine = writing(engine)

    @app.get("/products/<name>")
    def product(name: str) -> dict[str, Any]:
        with Session(engine) as session:
            return {"data": find(session, name)}

    @app.post("/<name>/<int:quantity>")
    def buy(name: str, quantity: int) -> dict[str, Any]:
        with Session(writing_engine) as session, session.begin():
            take(session, name, quantity)
            number = log_order(session, name, quantity)
        return {"data": {"order_number": str(number)}}

    return app
