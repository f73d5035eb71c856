-- The catalog on PostgreSQL: products, their stock, and the books that explain both. Tables and views have the names and
-- columns that they have in SQLite's catalog.db, so that rows go from one to the other and back unchanged.
--
-- The books come first: an entry of the ledger or of the history brings its product along, and nothing else may. Names
-- and keys are compared by their code points (collation "C") on every server, whatever its locale. Times are text in UTC,
-- as in 2026-11-28T17:30:00.123Z, which compares as the times do.

CREATE FUNCTION catalog.utc_now() RETURNS text LANGUAGE sql VOLATILE
    RETURN to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

CREATE TABLE catalog.products (
    -- One row a product. Its quantity is the balance of its last entry in the stock ledger.
    name        text    COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),   -- Unicode, NFC
    price_cents bigint  NOT NULL CHECK (price_cents BETWEEN 0 AND 100000000000),
    quantity    bigint  NOT NULL CHECK (quantity >= 0),                               -- pieces; never oversold
    -- A retired product is not found any more. Its row stays, for the ledger and the history speak of it.
    retired     boolean NOT NULL DEFAULT FALSE,
    -- The name as a search compares it: without case, in every script. lower() depends on the server's locale and is no
    -- case folding, so the store writes it.
    folded      text    COLLATE "C" NOT NULL DEFAULT ''
) WITH (fillfactor = 50);  -- room for a new version of each row on its page, so that a sale changes no index

CREATE TABLE catalog.stock_ledger (
    -- Append-only: every change of the stock. A sale carries the idempotency key of the buy, at most once.
    -- The entries of a product are in the order of their numbers. A transaction that was rolled back leaves a gap. The
    -- product is one of the table products: no reference says so, for it would cost a look-up for each entry, and the
    -- guard below looks it up once for all entries of a statement.
    entry       bigint  NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product     text    COLLATE "C" NOT NULL,
    delta       bigint  NOT NULL,
    balance     bigint  NOT NULL CHECK (balance >= 0),                                -- stock after this entry
    reason      text    NOT NULL CHECK (
        reason IN ('initial', 'restock', 'sold', 'decrement', 'returned', 'writeoff', 'correction')),
    key         text    COLLATE "C" CONSTRAINT a_key_is_sold_at_most_once UNIQUE CHECK (length(key) BETWEEN 1 AND 128),
    price_cents bigint  NOT NULL CHECK (price_cents BETWEEN 0 AND 100000000000),      -- of one piece, at that moment
    time        text    COLLATE "C" NOT NULL DEFAULT catalog.utc_now(),
    note        text    CHECK (length(note) BETWEEN 1 AND 500),                       -- why, in the owner's words
    sale        text    COLLATE "C",                                                  -- key of the sale given back
    -- 'sold' is a buy by way of the order tier, 'decrement' a direct one at the catalog. 'returned' gives pieces of a
    -- sale back. A 'writeoff' is broken or lost. A 'correction' says what was counted, whatever the ledger said before.
    CHECK (CASE reason WHEN 'initial' THEN delta >= 0 WHEN 'restock' THEN delta > 0 WHEN 'returned' THEN delta > 0
        WHEN 'correction' THEN TRUE ELSE delta < 0 END),
    CHECK (reason = 'initial' OR key IS NOT NULL),
    CHECK (reason = 'returned' OR (reason IN ('writeoff', 'correction')) = (note IS NOT NULL)),
    CHECK ((reason = 'returned') = (sale IS NOT NULL))
);
CREATE INDEX stock_ledger_sale ON catalog.stock_ledger (sale) WHERE sale IS NOT NULL;

CREATE TABLE catalog.refused (
    -- Append-only: buys with a final no, so that the same key gets the same answer for ever.
    key         text    COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 128),
    product     text    COLLATE "C" NOT NULL,                                         -- may be unknown
    quantity    bigint  NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    reason      text    NOT NULL CHECK (reason IN ('out of stock', 'product not found')),
    time        text    COLLATE "C" NOT NULL DEFAULT catalog.utc_now()
);

CREATE TABLE catalog.product_history (
    -- Append-only: what happened to a product, apart from its stock. The last entry is how it stands now.
    entry       bigint  NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product     text    COLLATE "C" NOT NULL REFERENCES catalog.products (name),
    what        text    NOT NULL CHECK (what IN ('added', 'price', 'retired')),
    price_cents bigint  NOT NULL CHECK (price_cents BETWEEN 0 AND 100000000000),      -- of one piece, from then on
    key         text    COLLATE "C" CONSTRAINT a_key_changes_a_product_at_most_once UNIQUE
        CHECK (length(key) BETWEEN 1 AND 128),                                        -- of the owner's command
    time        text    COLLATE "C" NOT NULL DEFAULT catalog.utc_now(),
    -- The first products come from a file, and not by a command.
    CHECK (what = 'added' OR key IS NOT NULL)
);

CREATE TABLE catalog.accepted_discrepancies (
    -- Append-only: what the audit found, cannot be put right, and was explained. The audit then shows it as accepted.
    entry       bigint  NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint text    NOT NULL CONSTRAINT a_discrepancy_is_accepted_at_most_once UNIQUE
        CHECK (length(fingerprint) = 12),                                             -- of the next three, and more
    promise     text    NOT NULL,
    subject     text    NOT NULL,                                                     -- its key, product or number
    finding     text    NOT NULL,
    note        text    NOT NULL CHECK (length(note) BETWEEN 1 AND 500),              -- why, in the owner's words
    accepted_by text    NOT NULL,                                                     -- user of the machine
    key         text    COLLATE "C" NOT NULL CONSTRAINT a_key_accepts_at_most_one_discrepancy UNIQUE
        CHECK (length(key) BETWEEN 1 AND 128),                                        -- of the owner's command
    time        text    COLLATE "C" NOT NULL DEFAULT catalog.utc_now()
);

CREATE TABLE catalog.store (
    -- One row: the store that this catalog is of. Its order log has the same id, and so does every copy of either.
    "only" integer NOT NULL PRIMARY KEY DEFAULT 1 CHECK ("only" = 1),
    id     text    NOT NULL CHECK (id ~ '^[0-9a-f]{32}$')
);
INSERT INTO catalog.store (id) VALUES (replace(gen_random_uuid()::text, '-', ''));

CREATE UNLOGGED TABLE catalog.keys (
    -- The locks of idempotency keys, and nothing else: a transaction first inserts its keys, or locks their rows, in the
    -- order of the keys. So two transactions with one key take turns, and the second one sees what the first has stored.
    -- The other tables say for what a key stands. This one may be lost or emptied at any time, so nothing of it
    -- goes into the WAL or to a standby.
    key text COLLATE "C" NOT NULL PRIMARY KEY
);

CREATE VIEW catalog.for_sale AS
    -- The products as shoppers see them.
    SELECT name, (price_cents / 100.0)::float8 AS price, quantity FROM catalog.products
    WHERE NOT retired ORDER BY name;
CREATE VIEW catalog.low_stock AS
    -- The products to order from the supplier next.
    SELECT name, quantity, (price_cents / 100.0)::float8 AS price FROM catalog.products
    WHERE quantity < 10 AND NOT retired ORDER BY quantity, name;
CREATE VIEW catalog.price_history AS
    -- When a product was added, at which prices it was sold from then on, and when it was retired.
    SELECT entry, product, what, (price_cents / 100.0)::float8 AS price, key, time FROM catalog.product_history
    ORDER BY entry;

-- The books are append-only.

CREATE FUNCTION catalog.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER stock_ledger_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON catalog.stock_ledger
    EXECUTE FUNCTION catalog.refuse('the stock ledger is append-only');
CREATE TRIGGER refused_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON catalog.refused
    EXECUTE FUNCTION catalog.refuse('refused buys are append-only');
CREATE TRIGGER product_history_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON catalog.product_history
    EXECUTE FUNCTION catalog.refuse('the product history is append-only');
CREATE TRIGGER accepted_discrepancies_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON catalog.accepted_discrepancies
    EXECUTE FUNCTION catalog.refuse('what was accepted is append-only');
CREATE TRIGGER store_one BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON catalog.store
    EXECUTE FUNCTION catalog.refuse('a catalog is of one store for ever');
CREATE TRIGGER products_stay BEFORE DELETE OR TRUNCATE ON catalog.products
    EXECUTE FUNCTION catalog.refuse('a product stays in the books: use python -m admin retire');

-- Each new entry of the ledger goes on from the stock. The guard runs once for all entries of a statement.

CREATE FUNCTION catalog.require_explained_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_refused boolean;
    is_unexplained boolean;
BEGIN
    IF EXISTS (SELECT FROM added WHERE reason IN ('initial', 'correction', 'returned')) THEN
        IF EXISTS (SELECT FROM added JOIN catalog.products ON name = product WHERE reason = 'initial') THEN
            RAISE EXCEPTION 'a first entry leads from the stock of no product: use python -m admin restock or correct'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        -- A product begins with no stock, and its first entry leads from there. The store writes a better `folded`.
        INSERT INTO catalog.products (name, price_cents, quantity, folded)
            SELECT DISTINCT ON (product) product, price_cents, 0, lower(product COLLATE "C")
            FROM added WHERE reason = 'initial' ORDER BY product, entry;
        INSERT INTO catalog.product_history (product, what, price_cents)
            SELECT product, 'added', price_cents FROM added WHERE reason = 'initial' ORDER BY entry;
        -- A correction leads from the last balance, whatever the stock was made by hand. The balance is looked for
        -- backwards: far back only for what is rare.
        UPDATE catalog.products SET quantity = ledger.balance
            FROM (SELECT product, coalesce((SELECT past.balance FROM catalog.stock_ledger AS past
                    WHERE past.product = first.product AND past.entry < first.entry
                    ORDER BY past.entry DESC LIMIT 1), 0) AS balance
                FROM (SELECT product, min(entry) AS entry FROM added WHERE reason = 'correction' GROUP BY product) AS first
                ) AS ledger
            WHERE name = ledger.product AND quantity <> ledger.balance;
        IF EXISTS (
            SELECT FROM (SELECT DISTINCT sale, product FROM added WHERE reason = 'returned') AS back
            WHERE (SELECT sum(delta) FROM catalog.stock_ledger WHERE sale = back.sale) > coalesce(
                (SELECT -delta FROM catalog.stock_ledger
                    WHERE key = back.sale AND reason = 'sold' AND product = back.product), 0)
        ) THEN
            RAISE EXCEPTION 'a return gives back pieces of a sale of its product, and no more than were sold'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    -- The first entry of a product leads from its stock, and the others from the entry before. The stock is compared and
    -- changed at once, so that an entry by hand is compared with it as the sale before has left it.
    WITH entries AS MATERIALIZED (
        SELECT product, key, price_cents, balance - delta AS before, balance,
            first_value(balance - delta) OVER entries_of_product AS stock,
            first_value(price_cents) OVER entries_of_product AS price_of_first,
            lag(balance) OVER entries_of_product AS earlier,
            lead(entry) OVER entries_of_product IS NULL AS is_last
        FROM added WINDOW entries_of_product AS (PARTITION BY product ORDER BY entry)
    ), changed AS (
        UPDATE catalog.products SET quantity = entries.balance FROM entries
        WHERE entries.is_last AND products.name = entries.product
            AND (products.quantity, products.price_cents) = (entries.stock, entries.price_cents)
        RETURNING 1
    )
    SELECT bool_or(refused.key IS NOT NULL),
        bool_or(entries.earlier <> entries.before OR entries.price_cents <> entries.price_of_first)
            OR count(*) FILTER (WHERE is_last) <> (SELECT count(*) FROM changed)
    INTO is_refused, is_unexplained
    FROM entries LEFT JOIN catalog.refused USING (key);
    IF is_refused THEN
        RAISE EXCEPTION 'a key is sold or refused, never both' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF is_unexplained THEN
        RAISE EXCEPTION 'an entry leads from the stock of its product to the balance, by its delta, at its price'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER stock_ledger_inserted AFTER INSERT ON catalog.stock_ledger REFERENCING NEW TABLE AS added
    EXECUTE FUNCTION catalog.require_explained_entries();

CREATE FUNCTION catalog.require_unsold_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added JOIN catalog.stock_ledger USING (key)) THEN
        RAISE EXCEPTION 'a key is sold or refused, never both' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER refused_inserted AFTER INSERT ON catalog.refused REFERENCING NEW TABLE AS added
    EXECUTE FUNCTION catalog.require_unsold_keys();

-- Events of a product apart from its stock are rare, and are checked row by row.

CREATE FUNCTION catalog.require_explained_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM catalog.stock_ledger WHERE key = NEW.key) THEN
        RAISE EXCEPTION 'a key changes a product or the stock, never both'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.what = 'added' THEN
        -- At depth 2 the ledger's trigger adds it.
        IF pg_trigger_depth() < 2 THEN
            RAISE EXCEPTION 'a product is added by its first entry in the stock ledger: use python -m admin add'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NULL;
    END IF;
    UPDATE catalog.products SET price_cents = NEW.price_cents, retired = NEW.what = 'retired'
        WHERE name = NEW.product AND NOT retired AND (NEW.what = 'price' OR price_cents = NEW.price_cents);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'only what is for sale has another price or is retired, and retiring changes no price'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER product_history_inserted AFTER INSERT ON catalog.product_history
    FOR EACH ROW EXECUTE FUNCTION catalog.require_explained_history();

-- A product stands as its books say. The triggers above change it, at a depth above 0; a change by hand is compared with
-- the books, so that a forged row can be set back.

CREATE FUNCTION catalog.require_explained_product() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    balance bigint := (
        SELECT stock_ledger.balance FROM catalog.stock_ledger WHERE product = NEW.name ORDER BY entry DESC LIMIT 1);
    last record;
BEGIN
    SELECT price_cents, what = 'retired' AS retired INTO last
        FROM catalog.product_history WHERE product = NEW.name ORDER BY entry DESC LIMIT 1;
    IF TG_OP = 'INSERT' AND EXISTS (SELECT FROM catalog.products WHERE name = NEW.name) THEN
        RAISE EXCEPTION 'there is or was such a product: use python -m admin restock or price'
            USING ERRCODE = 'integrity_constraint_violation';
    ELSIF TG_OP = 'INSERT' AND (NEW.quantity, NEW.price_cents, NEW.retired)
            IS DISTINCT FROM (balance, last.price_cents, last.retired) THEN
        RAISE EXCEPTION 'a product stands as its ledger and its history say: use python -m admin add'
            USING ERRCODE = 'integrity_constraint_violation';
    ELSIF TG_OP = 'UPDATE' AND NEW.name <> OLD.name THEN
        RAISE EXCEPTION 'a product keeps its name: use python -m admin add and retire'
            USING ERRCODE = 'integrity_constraint_violation';
    ELSIF NEW.quantity IS DISTINCT FROM balance THEN
        RAISE EXCEPTION 'the stock is the last balance of the ledger: use python -m admin restock, writeoff or correct'
            USING ERRCODE = 'integrity_constraint_violation';
    ELSIF (NEW.price_cents, NEW.retired) IS DISTINCT FROM (last.price_cents, last.retired) THEN
        RAISE EXCEPTION 'a product stands as its history says: use python -m admin price or retire'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER products_insert BEFORE INSERT ON catalog.products
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION catalog.require_explained_product();
CREATE TRIGGER products_update BEFORE UPDATE ON catalog.products
    FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND (NEW.name, NEW.quantity, NEW.price_cents, NEW.retired)
        IS DISTINCT FROM (OLD.name, OLD.quantity, OLD.price_cents, OLD.retired))
    EXECUTE FUNCTION catalog.require_explained_product();
