-- Pieces of an order that were given back. As with a buy, the intent comes first and the end of it is appended.

CREATE TABLE returns (
    -- Append-only: what was given back of each order. The catalog has each in its stock ledger, under the same key.
    entry       INTEGER NOT NULL PRIMARY KEY,
    key         TEXT    NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 128),      -- idempotency key of the return
    number      INTEGER NOT NULL REFERENCES orders (number),
    quantity    INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),            -- pieces
    note        TEXT             CHECK (length(note) BETWEEN 1 AND 500),            -- why, in the owner's words
    time        TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))    -- UTC
) STRICT;
CREATE INDEX returns_number ON returns (number);

CREATE TABLE return_intents (
    -- Returns in doubt: begun, and not yet known to be in the catalog. Empty when the store is at rest.
    begun       INTEGER NOT NULL PRIMARY KEY,                                       -- oldest first
    key         TEXT    NOT NULL UNIQUE CHECK (length(key) BETWEEN 1 AND 128),
    number      INTEGER NOT NULL REFERENCES orders (number),
    quantity    INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    note        TEXT             CHECK (length(note) BETWEEN 1 AND 500),
    time        TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))    -- UTC
) STRICT;

CREATE VIEW return_log AS
    -- What was given back, at the price for which it was bought.
    SELECT orders.number AS order_number, product, returns.quantity, returns.key, returns.time,
        price_cents / 100.0 AS price, returns.quantity * price_cents / 100.0 AS refund, note
    FROM returns JOIN orders ON orders.number = returns.number ORDER BY entry;

CREATE TRIGGER returns_insert BEFORE INSERT ON returns BEGIN
    SELECT RAISE(ABORT, 'returns are append-only: this entry exists')
        FROM returns WHERE entry = NEW.entry;
    SELECT RAISE(ABORT, 'a key gives back at most once')
        FROM returns WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key buys or gives back, never both')
        FROM orders WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key buys or gives back, never both')
        FROM refused WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a return is the end of a return in doubt (return_intents), which the order tier begins')
        WHERE NOT EXISTS (SELECT 1 FROM return_intents
            WHERE key = NEW.key AND (number, quantity) = (NEW.number, NEW.quantity) AND note IS NEW.note);
    SELECT RAISE(ABORT, 'no more is given back than was bought')
        WHERE NEW.quantity + (SELECT coalesce(sum(quantity), 0) FROM returns WHERE number = NEW.number)
            > coalesce((SELECT quantity FROM orders WHERE number = NEW.number), 0);
END;
CREATE TRIGGER returns_inserted AFTER INSERT ON returns BEGIN
    SELECT RAISE(ABORT, 'the entries of the returns have no gap')
        WHERE NEW.entry <> 1 AND NOT EXISTS (SELECT 1 FROM returns WHERE entry = NEW.entry - 1);
END;
CREATE TRIGGER returns_update BEFORE UPDATE ON returns BEGIN
    SELECT RAISE(ABORT, 'returns are append-only');
END;
CREATE TRIGGER returns_delete BEFORE DELETE ON returns BEGIN
    SELECT RAISE(ABORT, 'returns are append-only');
END;

CREATE TRIGGER return_intents_insert BEFORE INSERT ON return_intents BEGIN
    SELECT RAISE(ABORT, 'returns in doubt are not replaced: this number exists')
        FROM return_intents WHERE begun = NEW.begun;
    SELECT RAISE(ABORT, 'returns in doubt are not replaced: this key exists')
        FROM return_intents WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key gives back at most once')
        FROM returns WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key buys or gives back, never both')
        FROM orders WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key buys or gives back, never both')
        FROM refused WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'no more is given back than was bought')
        WHERE NEW.quantity + (SELECT coalesce(sum(quantity), 0) FROM returns WHERE number = NEW.number)
            + (SELECT coalesce(sum(quantity), 0) FROM return_intents WHERE number = NEW.number)
            > coalesce((SELECT quantity FROM orders WHERE number = NEW.number), 0);
END;
CREATE TRIGGER return_intents_update BEFORE UPDATE ON return_intents BEGIN
    SELECT RAISE(ABORT, 'a return in doubt does not change');
END;

-- The key of a return buys nothing. The catalog refuses it first: its ledger has one entry for each key.

DROP TRIGGER IF EXISTS orders_insert;
CREATE TRIGGER orders_insert BEFORE INSERT ON orders BEGIN
    SELECT RAISE(ABORT, 'the order log is append-only: this number exists')
        FROM orders WHERE number = NEW.number;
    SELECT RAISE(ABORT, 'a key is ordered at most once')
        FROM orders WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key is ordered or refused, never both')
        FROM refused WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key buys or gives back, never both')
        FROM returns WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'an order is the end of a buy in doubt (intents), which the order tier begins')
        WHERE NOT EXISTS (SELECT 1 FROM intents
            WHERE key = NEW.key AND (product, quantity) = (NEW.product, NEW.quantity));
END;

DROP TRIGGER IF EXISTS refused_insert;
CREATE TRIGGER refused_insert BEFORE INSERT ON refused BEGIN
    SELECT RAISE(ABORT, 'refused buys are append-only: this key exists')
        FROM refused WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key is ordered or refused, never both')
        FROM orders WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key buys or gives back, never both')
        FROM returns WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a refusal is the end of a buy in doubt (intents), which the order tier begins')
        WHERE NOT EXISTS (SELECT 1 FROM intents
            WHERE key = NEW.key AND (product, quantity) = (NEW.product, NEW.quantity));
END;
