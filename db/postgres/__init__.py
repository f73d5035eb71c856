"""The stores on PostgreSQL. It needs psycopg, so it is imported only where an address of PostgreSQL was given."""
