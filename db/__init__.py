"""The stores and all SQL of the product: sqlite/ and postgres/ for their engine, and what both share."""
