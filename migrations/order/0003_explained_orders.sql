-- Prices in pieces of money are in the view, for some programs cannot read a database with generated columns. And what
-- is written into the log, or into the buys in doubt, by hand, and is no buy, is refused.

DROP VIEW IF EXISTS order_log;
ALTER TABLE orders DROP COLUMN price;

CREATE VIEW order_log AS
    -- What was asked for and what came of it; -1 where the buy was refused.
    SELECT number AS order_number, product, quantity, key, time, price_cents / 100.0 AS price, NULL AS refused_because
    FROM orders
    UNION ALL
    SELECT -1, product, quantity, key, time, NULL, reason FROM refused
    ORDER BY time, order_number;

DROP TRIGGER IF EXISTS orders_insert;
CREATE TRIGGER orders_insert BEFORE INSERT ON orders BEGIN
    SELECT RAISE(ABORT, 'the order log is append-only: this number exists')
        FROM orders WHERE number = NEW.number;
    SELECT RAISE(ABORT, 'a key is ordered at most once')
        FROM orders WHERE key = NEW.key;
    SELECT RAISE(ABORT, 'a key is ordered or refused, never both')
        FROM refused WHERE key = NEW.key;
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
    SELECT RAISE(ABORT, 'a refusal is the end of a buy in doubt (intents), which the order tier begins')
        WHERE NOT EXISTS (SELECT 1 FROM intents
            WHERE key = NEW.key AND (product, quantity) = (NEW.product, NEW.quantity));
END;

CREATE TRIGGER intents_insert BEFORE INSERT ON intents BEGIN
    SELECT RAISE(ABORT, 'buys in doubt are not replaced: this number exists')
        FROM intents WHERE begun = NEW.begun;
    SELECT RAISE(ABORT, 'buys in doubt are not replaced: this key exists')
        FROM intents WHERE key = NEW.key;
END;
CREATE TRIGGER intents_update BEFORE UPDATE ON intents BEGIN
    SELECT RAISE(ABORT, 'a buy in doubt does not change');
END;
