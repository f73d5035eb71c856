"""The stores in SQLite: one class a database file, and all SQL of the product."""
