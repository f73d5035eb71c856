-- The order log on PostgreSQL: orders, refused buys, returns, and what is in doubt. Tables and views have the names and
-- columns that they have in SQLite's order.db, so that rows go from one to the other and back unchanged.
--
-- Whatever ends was in doubt before: a buy or a return comes from its intent, and from nowhere else. Names and keys are
-- compared by their code points (collation "C") on every server, whatever its locale. Times are text in UTC, as in
-- 2026-11-28T17:30:00.123Z, which compares as the times do.

CREATE FUNCTION log.utc_now() RETURNS text LANGUAGE sql VOLATILE
    RETURN to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

CREATE TABLE log.orders (
    -- Append-only: the order log. Numbers are 0, 1, 2, … in the order of their commits, without a gap.
    number      bigint  NOT NULL PRIMARY KEY CHECK (number >= 0),
    key         text    COLLATE "C" NOT NULL CONSTRAINT a_key_is_ordered_at_most_once UNIQUE
        CHECK (length(key) BETWEEN 1 AND 128),                                        -- idempotency key of the buy
    product     text    COLLATE "C" NOT NULL,
    quantity    bigint  NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    price_cents bigint  NOT NULL CHECK (price_cents BETWEEN 0 AND 100000000000),      -- of one piece
    time        text    COLLATE "C" NOT NULL DEFAULT log.utc_now()
);

CREATE TABLE log.last_number (
    -- One row: the number of the newest order, -1 before the first. A batch of orders raises it by its size, and so keeps
    -- the next batch waiting until it is committed. A sequence would leave a gap behind each rollback.
    "only" integer NOT NULL PRIMARY KEY DEFAULT 1 CHECK ("only" = 1),
    number bigint  NOT NULL CHECK (number >= -1)
) WITH (fillfactor = 10);  -- room for its next versions on its page
INSERT INTO log.last_number (number) VALUES (-1);

CREATE TABLE log.refused (
    -- Append-only: buys that the catalog refused. They have no number; the view order_log shows them as -1.
    key         text    COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 128),
    product     text    COLLATE "C" NOT NULL,
    quantity    bigint  NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    reason      text    NOT NULL CHECK (reason IN ('out of stock', 'product not found')),
    time        text    COLLATE "C" NOT NULL DEFAULT log.utc_now()
);
-- The owner's pages show refused buys by time. Orders need no such index: their numbers are in the order of their commits.
CREATE INDEX refused_by_time ON log.refused (time, key);

CREATE TABLE log.intents (
    -- Buys in doubt: begun, and not yet known to be sold or refused. Empty when the store is at rest.
    begun       bigint  NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,            -- oldest first
    key         text    COLLATE "C" NOT NULL CONSTRAINT a_key_is_in_doubt_at_most_once UNIQUE
        CHECK (length(key) BETWEEN 1 AND 128),
    product     text    COLLATE "C" NOT NULL,
    quantity    bigint  NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    time        text    COLLATE "C" NOT NULL DEFAULT log.utc_now()
);

CREATE TABLE log.returns (
    -- Append-only: what was given back of each order. The catalog has each in its stock ledger, under the same key. A
    -- transaction that was rolled back leaves a gap between the entries.
    entry       bigint  NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key         text    COLLATE "C" NOT NULL CONSTRAINT a_key_gives_back_at_most_once UNIQUE
        CHECK (length(key) BETWEEN 1 AND 128),                                        -- idempotency key of the return
    number      bigint  NOT NULL REFERENCES log.orders (number),
    quantity    bigint  NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),              -- pieces
    note        text    CHECK (length(note) BETWEEN 1 AND 500),                       -- why, in the owner's words
    time        text    COLLATE "C" NOT NULL DEFAULT log.utc_now()
);
CREATE INDEX returns_number ON log.returns (number);

CREATE TABLE log.return_intents (
    -- Returns in doubt: begun, and not yet known to be in the catalog. Empty when the store is at rest.
    begun       bigint  NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,            -- oldest first
    key         text    COLLATE "C" NOT NULL CONSTRAINT a_key_is_in_doubt_for_one_return UNIQUE
        CHECK (length(key) BETWEEN 1 AND 128),
    number      bigint  NOT NULL REFERENCES log.orders (number),
    quantity    bigint  NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    note        text    CHECK (length(note) BETWEEN 1 AND 500),
    time        text    COLLATE "C" NOT NULL DEFAULT log.utc_now()
);
CREATE INDEX return_intents_number ON log.return_intents (number);

CREATE TABLE log.store (
    -- At most one row: the store that this log is of. The log takes its catalog's id before its first buy.
    "only" integer NOT NULL DEFAULT 1 CONSTRAINT a_log_is_of_one_store_for_ever PRIMARY KEY CHECK ("only" = 1),
    id     text    NOT NULL CHECK (id ~ '^[0-9a-f]{32}$')
);

CREATE UNLOGGED TABLE log.keys (
    -- The locks of idempotency keys, and nothing else, see catalog.keys: a transaction first locks its keys, in their
    -- order. It may be lost or emptied at any time, so nothing of it goes into the WAL or to a standby.
    key text COLLATE "C" NOT NULL PRIMARY KEY
);

CREATE TABLE log.last_audit (
    -- At most one row, which each audit replaces: what the newest one found, for the owner's desk. Beside SQLite's files
    -- that is the file audit.json; several order tiers share no folder. It is no part of the books, and no copy has it.
    "only" integer NOT NULL PRIMARY KEY DEFAULT 1 CHECK ("only" = 1),
    record text    NOT NULL                                                           -- JSON, as in audit.json
);

CREATE VIEW log.order_log AS
    -- All buys that have ended; the number is -1 where the buy was refused.
    SELECT number AS order_number, product, quantity, key, time, (price_cents / 100.0)::float8 AS price,
        NULL::text AS refused_because
    FROM log.orders
    UNION ALL
    SELECT -1, product, quantity, key, time, NULL, reason FROM log.refused
    ORDER BY time, order_number;
CREATE VIEW log.return_log AS
    -- The returns, at the price for which the pieces were bought.
    SELECT orders.number AS order_number, product, returns.quantity, returns.key, returns.time,
        (price_cents / 100.0)::float8 AS price, (returns.quantity * price_cents / 100.0)::float8 AS refund, note
    FROM log.returns JOIN log.orders ON orders.number = returns.number ORDER BY entry;

-- The log is append-only.

CREATE FUNCTION log.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER orders_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.orders
    EXECUTE FUNCTION log.refuse('the order log is append-only');
CREATE TRIGGER refused_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.refused
    EXECUTE FUNCTION log.refuse('refused buys are append-only');
CREATE TRIGGER returns_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.returns
    EXECUTE FUNCTION log.refuse('returns are append-only');
CREATE TRIGGER intents_stay BEFORE UPDATE OR TRUNCATE ON log.intents
    EXECUTE FUNCTION log.refuse('a buy in doubt does not change');
CREATE TRIGGER return_intents_stay BEFORE UPDATE OR TRUNCATE ON log.return_intents
    EXECUTE FUNCTION log.refuse('a return in doubt does not change');
CREATE TRIGGER store_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON log.store
    EXECUTE FUNCTION log.refuse('a log is of one store for ever');
CREATE TRIGGER last_number_stays BEFORE INSERT OR DELETE OR TRUNCATE ON log.last_number
    EXECUTE FUNCTION log.refuse('the number of the newest order stays');

-- Each new row is the end of a buy or a return in doubt. The guards run once for all rows of a statement.

CREATE FUNCTION log.require_numbered_orders() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    first bigint;
    last bigint;
    size bigint;
BEGIN
    SELECT min(number), max(number), count(*) INTO first, last, size FROM added;
    IF size > 0 AND (last - first + 1 <> size
        OR last <> (SELECT number FROM log.last_number)
        OR (first > 0 AND NOT EXISTS (SELECT FROM log.orders WHERE number = first - 1)))
    THEN
        RAISE EXCEPTION 'the numbers of the orders have no gap, and the newest is that of last_number'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER orders_numbered AFTER INSERT ON log.orders REFERENCING NEW TABLE AS added
    EXECUTE FUNCTION log.require_numbered_orders();

-- At COMMIT, for the number is raised before the orders are there.
CREATE FUNCTION log.require_newest_number() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT number FROM log.last_number) <> (SELECT coalesce(max(number), -1) FROM log.orders) THEN
        RAISE EXCEPTION 'last_number is the number of the newest order' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER last_number_updated AFTER UPDATE ON log.last_number DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION log.require_newest_number();

-- The key of an end stands for one end, and its intent is still there. $1 of the trigger says what ends.
CREATE FUNCTION log.require_ends_of_intents() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added JOIN log.orders USING (key) JOIN log.refused USING (key)) THEN
        RAISE EXCEPTION 'a key is ordered or refused, never both' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF EXISTS (SELECT FROM added JOIN log.returns USING (key)) THEN
        RAISE EXCEPTION 'a key buys or gives back, never both' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF EXISTS (SELECT FROM added WHERE NOT EXISTS (SELECT FROM log.intents
        WHERE (key, product, quantity) = (added.key, added.product, added.quantity)))
    THEN
        RAISE EXCEPTION '% is the end of a buy in doubt (intents), which the order tier begins', TG_ARGV[0]
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER orders_inserted AFTER INSERT ON log.orders REFERENCING NEW TABLE AS added
    EXECUTE FUNCTION log.require_ends_of_intents('an order');
CREATE TRIGGER refused_inserted AFTER INSERT ON log.refused REFERENCING NEW TABLE AS added
    EXECUTE FUNCTION log.require_ends_of_intents('a refusal');

-- Returns are rare, and are checked for each row. Both tables call this guard: it locks the order, so that two returns of
-- it take turns, and counts what is given back and what is in doubt.
CREATE FUNCTION log.require_bought_pieces() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM log.orders WHERE number = NEW.number FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM log.orders WHERE key = NEW.key) OR EXISTS (SELECT FROM log.refused WHERE key = NEW.key) THEN
        RAISE EXCEPTION 'a key buys or gives back, never both' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_TABLE_NAME = 'returns' AND NOT EXISTS (SELECT FROM log.return_intents
        WHERE (key, number, quantity) = (NEW.key, NEW.number, NEW.quantity) AND note IS NOT DISTINCT FROM NEW.note)
    THEN
        RAISE EXCEPTION 'a return is the end of a return in doubt (return_intents), which the order tier begins'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_TABLE_NAME = 'return_intents' AND EXISTS (SELECT FROM log.returns WHERE key = NEW.key) THEN
        RAISE EXCEPTION 'a key gives back at most once' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    -- The intent of a return that ends now is counted no second time.
    IF (SELECT coalesce(sum(quantity), 0) FROM log.returns WHERE number = NEW.number)
        + (SELECT coalesce(sum(quantity), 0) FROM log.return_intents
            WHERE number = NEW.number AND (TG_TABLE_NAME = 'return_intents' OR key <> NEW.key))
        > (SELECT quantity FROM log.orders WHERE number = NEW.number)
    THEN
        RAISE EXCEPTION 'no more is given back than was bought' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER returns_inserted AFTER INSERT ON log.returns
    FOR EACH ROW EXECUTE FUNCTION log.require_bought_pieces();
CREATE TRIGGER return_intents_inserted AFTER INSERT ON log.return_intents
    FOR EACH ROW EXECUTE FUNCTION log.require_bought_pieces();
