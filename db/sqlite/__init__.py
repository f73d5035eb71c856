"""The stores in SQLite: one class a database file."""
