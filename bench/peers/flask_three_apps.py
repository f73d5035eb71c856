"""A store in three tiers on Flask and SQLAlchemy, with one HTTP call a hop.

DATABASE is the path of a tier's database; CATALOG and ORDER are the URLs of the tiers behind.
"""

import os
from typing import Any

import urllib3
from flask import Flask, Response
from sqlalchemy.orm import Session

from bench.limit import threads
from bench.peers.flask_database import open_engine, writing
from bench.peers.flask_sales import find, json_app, log_order, take

TIMEOUT_S = 20.0


def create_catalog() -> Flask:
    """Returns a catalog that finds a product, and takes pieces of it in one transaction."""
    app = json_app()
    engine = open_engine(os.environ["DATABASE"])
    writing_engine = writing(engine)

    @app.get("/products/<name>")
    def product(name: str) -> dict[str, Any]:
        with Session(engine) as session:
            return {"data": find(session, name)}

    @app.post("/<name>/<int:quantity>")
    def decrement(name: str, quantity: int) -> dict[str, Any]:
        with Session(writing_engine) as session, session.begin():
            take(session, name, quantity)
        return {"message": "order has been placed"}

    return app


def create_order() -> Flask:
    """Returns an order tier that sells, then logs. A crash between the two loses the order: there is no recovery."""
    app = json_app()
    writing_engine = writing(open_engine(os.environ["DATABASE"]))
    catalog = _Tier(os.environ["CATALOG"])

    @app.post("/products/<name>/<int:quantity>")
    def buy(name: str, quantity: int) -> Any:
        sale = catalog.ask("POST", f"/{name}/{quantity}")
        if sale.status_code != 200:
            return sale
        with Session(writing_engine) as session, session.begin():
            number = log_order(session, name, quantity)
        return {"data": {"order_number": str(number)}}

    return app


def create_front_end() -> Flask:
    """Returns a front end that passes queries to the catalog and buys to the order tier."""
    app = json_app()
    catalog, order = _Tier(os.environ["CATALOG"]), _Tier(os.environ["ORDER"])

    @app.get("/products/<name>")
    def product(name: str) -> Response:
        return catalog.ask("GET", f"/products/{name}")

    @app.post("/<name>/<int:quantity>")
    def buy(name: str, quantity: int) -> Response:
        return order.ask("POST", f"/products/{name}/{quantity}")

    return app


class _Tier:
    """A client of a tier behind, with a keep-alive connection for each thread. It passes responses on unchanged."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(maxsize=threads, retries=False, timeout=TIMEOUT_S)

    def ask(self, method: str, path: str) -> Response:
        answer = self._pool.request(method, self._url + path)
        return Response(answer.data, answer.status, content_type=answer.headers.get("Content-Type"))
