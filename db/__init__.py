"""The state in SQLite: one store a file, all SQL beside the one method that uses it."""
