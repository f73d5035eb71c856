-- A retired product is not found any more. Its row stays, for the ledger and the history speak of it.
ALTER TABLE products ADD COLUMN retired INTEGER NOT NULL DEFAULT 0 CHECK (retired IN (0, 1));

CREATE TABLE product_history (
    -- Append-only: what happened to a product, apart from its stock. The last entry is how it stands now.
    entry       INTEGER NOT NULL PRIMARY KEY,
    product     TEXT    NOT NULL REFERENCES products (name),
    what        TEXT    NOT NULL CHECK (what IN ('added', 'price', 'retired')),
    price_cents INTEGER NOT NULL CHECK (price_cents BETWEEN 0 AND 100000000000),      -- of one piece, from then on
    key         TEXT    UNIQUE   CHECK (length(key) BETWEEN 1 AND 128),               -- of the owner's command
    time        TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),     -- UTC
    price       REAL    GENERATED ALWAYS AS (price_cents / 100.0) VIRTUAL,
    -- The first products come from a file, and not by a command.
    CHECK (what = 'added' OR key IS NOT NULL)
) STRICT;

-- Of what was before this table, the ledger knows the time, and the product its price.
INSERT INTO product_history (product, what, price_cents, time)
    SELECT name, 'added', products.price_cents, time
    FROM products JOIN stock_ledger ON product = name AND reason = 'initial' ORDER BY stock_ledger.entry;

DROP VIEW low_stock;
CREATE VIEW low_stock AS
    -- What to order from the supplier next.
    SELECT name, quantity, price FROM products WHERE quantity < 10 AND NOT retired ORDER BY quantity, name;

CREATE TRIGGER product_history_insert BEFORE INSERT ON product_history BEGIN
    SELECT RAISE(ABORT, 'the product history is append-only: this entry exists')
        FROM product_history WHERE entry = NEW.entry;
    SELECT RAISE(ABORT, 'a key changes a product at most once')
        FROM product_history WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key changes a product or the stock, never both')
        FROM stock_ledger WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'an entry says how its product stands')
        WHERE (NEW.price_cents, NEW.what = 'retired')
        IS NOT (SELECT price_cents, retired FROM products WHERE name = NEW.product);
END;
CREATE TRIGGER product_history_update BEFORE UPDATE ON product_history BEGIN
    SELECT RAISE(ABORT, 'the product history is append-only');
END;
CREATE TRIGGER product_history_delete BEFORE DELETE ON product_history BEGIN
    SELECT RAISE(ABORT, 'the product history is append-only');
END;
