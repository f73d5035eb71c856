"""Copies of the books between PostgreSQL and the two files of SQLite, on which audit, status and reports run."""
