-- Pieces of an order that were given back return to the stock. The ledger gets the reason 'returned', and a column that
-- names the sale. SQLite changes no CHECK, so the table is made again, and with it what speaks of it.

-- Where one of them was dropped by hand, the audit had named it, and it is back at the end.
DROP TRIGGER IF EXISTS stock_ledger_insert;
DROP TRIGGER IF EXISTS stock_ledger_inserted;
DROP TRIGGER IF EXISTS stock_ledger_initial;
DROP TRIGGER IF EXISTS stock_ledger_update;
DROP TRIGGER IF EXISTS stock_ledger_delete;
DROP TRIGGER IF EXISTS product_history_insert;
DROP TRIGGER IF EXISTS products_insert;
DROP TRIGGER IF EXISTS products_quantity;
DROP TRIGGER IF EXISTS refused_insert;

ALTER TABLE stock_ledger RENAME TO old_stock_ledger;

CREATE TABLE stock_ledger (
    -- Append-only: every change of the stock. A sale carries the idempotency key of the buy, at most once.
    entry       INTEGER NOT NULL PRIMARY KEY,
    product     TEXT    NOT NULL REFERENCES products (name),
    delta       INTEGER NOT NULL,
    balance     INTEGER NOT NULL CHECK (balance >= 0),                                -- stock after this entry
    reason      TEXT    NOT NULL CHECK (
        reason IN ('initial', 'restock', 'sold', 'decrement', 'returned', 'writeoff', 'correction')),
    key         TEXT    UNIQUE   CHECK (length(key) BETWEEN 1 AND 128),
    price_cents INTEGER NOT NULL CHECK (price_cents BETWEEN 0 AND 100000000000),      -- of one piece, at that moment
    time        TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),     -- UTC
    note        TEXT             CHECK (length(note) BETWEEN 1 AND 500),              -- why, in the owner's words
    sale        TEXT,                                                                 -- key of the sale given back
    -- 'sold' is a buy by way of the order tier, 'decrement' a direct one at the catalog. 'returned' gives pieces of a
    -- sale back. A 'writeoff' is broken or lost. A 'correction' says what was counted, whatever the ledger said before.
    CHECK (CASE reason WHEN 'initial' THEN delta >= 0 WHEN 'restock' THEN delta > 0 WHEN 'returned' THEN delta > 0
        WHEN 'correction' THEN TRUE ELSE delta < 0 END),
    CHECK (reason = 'initial' OR key IS NOT NULL),
    CHECK (reason = 'returned' OR (reason IN ('writeoff', 'correction')) = (note IS NOT NULL)),
    CHECK ((reason = 'returned') = (sale IS NOT NULL))
) STRICT;

-- What stands in the books stays, right or wrong: a wrong entry is for the audit, and fails no check here.
PRAGMA ignore_check_constraints = ON;
PRAGMA cache_size = -64000;  -- KiB, of this connection: keys come in no order, and their index is made again
INSERT INTO stock_ledger (entry, product, delta, balance, reason, key, price_cents, time, note)
    SELECT entry, product, delta, balance, reason, key, price_cents, time, note FROM old_stock_ledger ORDER BY entry;
PRAGMA ignore_check_constraints = OFF;
DROP TABLE old_stock_ledger;

CREATE INDEX stock_ledger_sale ON stock_ledger (sale) WHERE sale IS NOT NULL;

-- REPLACE deletes without firing DELETE triggers, so each table also guards its unique keys before an insert.

CREATE TRIGGER stock_ledger_insert BEFORE INSERT ON stock_ledger BEGIN
    SELECT RAISE(ABORT, 'the stock ledger is append-only: this entry exists')
        FROM stock_ledger WHERE entry = NEW.entry;
    SELECT RAISE(ABORT, 'a key is sold at most once')
        FROM stock_ledger WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key is sold or refused, never both')
        FROM refused WHERE key = NEW.key;
    -- A product's last entry is looked for backwards, from the newest: far back only for what is rare or made by hand.
    SELECT RAISE(ABORT, 'an entry leads from the stock of its product to the balance, by its delta, at its price')
        WHERE CASE NEW.reason
            WHEN 'initial' THEN NEW.balance IS NOT NEW.delta OR EXISTS (SELECT 1 FROM products WHERE name = NEW.product)
            WHEN 'correction' THEN (NEW.balance - NEW.delta, NEW.price_cents) IS NOT
                (SELECT coalesce((SELECT balance FROM stock_ledger WHERE product = name ORDER BY entry DESC LIMIT 1), 0),
                    price_cents FROM products WHERE name = NEW.product)
            ELSE (NEW.balance - NEW.delta, NEW.price_cents) IS NOT
                (SELECT quantity, price_cents FROM products WHERE name = NEW.product)
        END;
END;
CREATE TRIGGER stock_ledger_returned BEFORE INSERT ON stock_ledger WHEN NEW.reason = 'returned' BEGIN
    SELECT RAISE(ABORT, 'a return gives back pieces of a sale of its product, and no more than were sold')
        WHERE NEW.delta + (SELECT coalesce(sum(delta), 0) FROM stock_ledger WHERE sale = NEW.sale)
            > coalesce((SELECT -delta FROM stock_ledger
                WHERE key = NEW.sale AND reason = 'sold' AND product = NEW.product), 0);
END;
CREATE TRIGGER stock_ledger_inserted AFTER INSERT ON stock_ledger BEGIN
    SELECT RAISE(ABORT, 'the entries of the stock ledger have no gap')
        WHERE NEW.entry <> 1 AND NOT EXISTS (SELECT 1 FROM stock_ledger WHERE entry = NEW.entry - 1);
    UPDATE products SET quantity = NEW.balance WHERE name = NEW.product;
END;
CREATE TRIGGER stock_ledger_initial AFTER INSERT ON stock_ledger WHEN NEW.reason = 'initial' BEGIN
    INSERT INTO product_history (product, what, price_cents) VALUES (NEW.product, 'added', NEW.price_cents);
    INSERT INTO products (name, price_cents, quantity) VALUES (NEW.product, NEW.price_cents, NEW.balance);
END;
CREATE TRIGGER stock_ledger_update BEFORE UPDATE ON stock_ledger BEGIN
    SELECT RAISE(ABORT, 'the stock ledger is append-only');
END;
CREATE TRIGGER stock_ledger_delete BEFORE DELETE ON stock_ledger BEGIN
    SELECT RAISE(ABORT, 'the stock ledger is append-only');
END;

-- As they were.

CREATE TRIGGER product_history_insert BEFORE INSERT ON product_history BEGIN
    SELECT RAISE(ABORT, 'the product history is append-only: this entry exists')
        FROM product_history WHERE entry = NEW.entry;
    SELECT RAISE(ABORT, 'a key changes a product at most once')
        FROM product_history WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key changes a product or the stock, never both')
        FROM stock_ledger WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a product is added by its first entry in the stock ledger: use python -m admin add')
        WHERE NEW.what = 'added' AND ((NEW.product, 'initial', NEW.price_cents) IS NOT
            (SELECT product, reason, price_cents FROM stock_ledger ORDER BY entry DESC LIMIT 1)
            OR EXISTS (SELECT 1 FROM products WHERE name = NEW.product));
    SELECT RAISE(ABORT, 'only what is for sale has another price or is retired, and retiring changes no price')
        WHERE NEW.what <> 'added' AND NOT EXISTS (SELECT 1 FROM products
            WHERE name = NEW.product AND retired = 0 AND (NEW.what = 'price' OR price_cents = NEW.price_cents));
END;

CREATE TRIGGER products_insert BEFORE INSERT ON products BEGIN
    SELECT RAISE(ABORT, 'there is or was such a product: use python -m admin restock or price')
        FROM products WHERE name = NEW.name;
    SELECT RAISE(ABORT, 'a product stands as its ledger and its history say: use python -m admin add')
        WHERE NEW.quantity IS NOT
            (SELECT balance FROM stock_ledger WHERE product = NEW.name ORDER BY entry DESC LIMIT 1)
        OR (NEW.price_cents, NEW.retired) IS NOT
            (SELECT price_cents, what = 'retired' FROM product_history WHERE product = NEW.name ORDER BY entry DESC LIMIT 1);
END;
CREATE TRIGGER products_quantity BEFORE UPDATE OF quantity ON products WHEN NEW.quantity IS NOT OLD.quantity BEGIN
    SELECT RAISE(ABORT, 'the stock is the last balance of the ledger: use python -m admin restock, writeoff or correct')
        WHERE NEW.quantity IS NOT
            (SELECT balance FROM stock_ledger WHERE product = NEW.name ORDER BY entry DESC LIMIT 1);
END;

CREATE TRIGGER refused_insert BEFORE INSERT ON refused BEGIN
    SELECT RAISE(ABORT, 'refused buys are append-only: this key exists')
        FROM refused WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key is sold or refused, never both')
        FROM stock_ledger WHERE key = NEW.key;
END;
