CREATE TABLE products (
    -- One row a product. Its quantity is the balance of its last entry in the stock ledger.
    name        TEXT    NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),   -- Unicode, NFC
    price_cents INTEGER NOT NULL CHECK (price_cents BETWEEN 0 AND 100000000000),
    quantity    INTEGER NOT NULL CHECK (quantity >= 0),                               -- pieces; never oversold
    price       REAL    GENERATED ALWAYS AS (price_cents / 100.0) VIRTUAL
) STRICT, WITHOUT ROWID;

CREATE TABLE stock_ledger (
    -- Append-only: every change of the stock. A sale carries the idempotency key of the buy, at most once.
    entry       INTEGER NOT NULL PRIMARY KEY,
    product     TEXT    NOT NULL REFERENCES products (name),
    delta       INTEGER NOT NULL CHECK (delta <> 0 OR reason = 'initial'),
    balance     INTEGER NOT NULL CHECK (balance >= 0),                                -- stock after this entry
    reason      TEXT    NOT NULL CHECK (reason IN ('initial', 'restock', 'sold', 'decrement')),
    key         TEXT    UNIQUE   CHECK (length(key) BETWEEN 1 AND 128),
    price_cents INTEGER NOT NULL CHECK (price_cents BETWEEN 0 AND 100000000000),      -- of one piece, at that moment
    time        TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),     -- UTC
    -- 'sold' is a buy by way of the order tier, 'decrement' a direct one at the catalog.
    CHECK ((reason IN ('sold', 'decrement')) = (delta < 0)),
    CHECK (reason = 'initial' OR key IS NOT NULL)
) STRICT;

CREATE TABLE refused (
    -- Append-only: buys with a final no, so that the same key gets the same answer for ever.
    key         TEXT    NOT NULL PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 128),
    product     TEXT    NOT NULL,                                                     -- may be unknown
    quantity    INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    reason      TEXT    NOT NULL CHECK (reason IN ('out of stock', 'product not found')),
    time        TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))      -- UTC
) STRICT, WITHOUT ROWID;

CREATE VIEW low_stock AS
    -- What to order from the supplier next.
    SELECT name, quantity, price FROM products WHERE quantity < 10 ORDER BY quantity, name;

-- REPLACE deletes without firing DELETE triggers, so each table also guards its unique keys before an insert.

CREATE TRIGGER stock_ledger_insert BEFORE INSERT ON stock_ledger BEGIN
    SELECT RAISE(ABORT, 'the stock ledger is append-only: this entry exists')
        FROM stock_ledger WHERE entry = NEW.entry;
    SELECT RAISE(ABORT, 'a key is sold at most once')
        FROM stock_ledger WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key is sold or refused, never both')
        FROM refused WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'the balance of an entry is the stock of its product')
        WHERE NEW.balance IS NOT (SELECT quantity FROM products WHERE name = NEW.product);
END;
CREATE TRIGGER stock_ledger_update BEFORE UPDATE ON stock_ledger BEGIN
    SELECT RAISE(ABORT, 'the stock ledger is append-only');
END;
CREATE TRIGGER stock_ledger_delete BEFORE DELETE ON stock_ledger BEGIN
    SELECT RAISE(ABORT, 'the stock ledger is append-only');
END;

CREATE TRIGGER refused_insert BEFORE INSERT ON refused BEGIN
    SELECT RAISE(ABORT, 'refused buys are append-only: this key exists')
        FROM refused WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key is sold or refused, never both')
        FROM stock_ledger WHERE key = NEW.key;
END;
CREATE TRIGGER refused_update BEFORE UPDATE ON refused BEGIN
    SELECT RAISE(ABORT, 'refused buys are append-only');
END;
CREATE TRIGGER refused_delete BEFORE DELETE ON refused BEGIN
    SELECT RAISE(ABORT, 'refused buys are append-only');
END;
