CREATE TABLE orders (
    -- Append-only: the order log. Numbers are 0, 1, 2, … in the order of their commits, without a gap.
    number      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT CHECK (number >= 0),
    key         TEXT    NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 128),      -- idempotency key of the buy
    product     TEXT    NOT NULL,
    quantity    INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    price_cents INTEGER NOT NULL CHECK (price_cents BETWEEN 0 AND 100000000000),    -- of one piece
    time        TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),   -- UTC
    price       REAL    GENERATED ALWAYS AS (price_cents / 100.0) VIRTUAL
) STRICT;

CREATE TABLE refused (
    -- Append-only: buys that the catalog refused. They have no number; the view order_log shows them as -1.
    key         TEXT    NOT NULL PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 128),
    product     TEXT    NOT NULL,
    quantity    INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    reason      TEXT    NOT NULL CHECK (reason IN ('out of stock', 'product not found')),
    time        TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))    -- UTC
) STRICT, WITHOUT ROWID;

CREATE TABLE intents (
    -- Buys in doubt: begun, and not yet known to be sold or refused. Empty when the store is at rest.
    begun       INTEGER NOT NULL PRIMARY KEY,                                       -- oldest first
    key         TEXT    NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 128),
    product     TEXT    NOT NULL,
    quantity    INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    time        TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))    -- UTC
) STRICT;

CREATE VIEW order_log AS
    -- What was asked for and what came of it; -1 where the buy was refused.
    SELECT number AS order_number, product, quantity, key, time, price, NULL AS refused_because FROM orders
    UNION ALL
    SELECT -1, product, quantity, key, time, NULL, reason FROM refused
    ORDER BY time, order_number;

-- REPLACE deletes without firing DELETE triggers, so each table also guards its unique keys before an insert.

CREATE TRIGGER orders_insert BEFORE INSERT ON orders BEGIN
    SELECT RAISE(ABORT, 'the order log is append-only: this number exists')
        FROM orders WHERE number = NEW.number;
    SELECT RAISE(ABORT, 'a key is ordered at most once')
        FROM orders WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key is ordered or refused, never both')
        FROM refused WHERE key = NEW.key;
END;
CREATE TRIGGER orders_update BEFORE UPDATE ON orders BEGIN
    SELECT RAISE(ABORT, 'the order log is append-only');
END;
CREATE TRIGGER orders_delete BEFORE DELETE ON orders BEGIN
    SELECT RAISE(ABORT, 'the order log is append-only');
END;

CREATE TRIGGER refused_insert BEFORE INSERT ON refused BEGIN
    SELECT RAISE(ABORT, 'refused buys are append-only: this key exists')
        FROM refused WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key is ordered or refused, never both')
        FROM orders WHERE key = NEW.key;
END;
CREATE TRIGGER refused_update BEFORE UPDATE ON refused BEGIN
    SELECT RAISE(ABORT, 'refused buys are append-only');
END;
CREATE TRIGGER refused_delete BEFORE DELETE ON refused BEGIN
    SELECT RAISE(ABORT, 'refused buys are append-only');
END;
