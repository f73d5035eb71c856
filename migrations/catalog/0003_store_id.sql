CREATE TABLE store (
    -- One row: the store that this file is of. Its order.db has the same id, and so does every backup of either.
    only INTEGER NOT NULL PRIMARY KEY DEFAULT 1 CHECK (only = 1),
    id   TEXT    NOT NULL CHECK (length(id) = 32 AND id NOT GLOB '*[^0-9a-f]*')
) STRICT;

INSERT INTO store (id) VALUES (lower(hex(randomblob(16))));

CREATE TRIGGER store_insert BEFORE INSERT ON store BEGIN
    SELECT RAISE(ABORT, 'a file is of one store for ever') FROM store;
END;
CREATE TRIGGER store_update BEFORE UPDATE ON store BEGIN
    SELECT RAISE(ABORT, 'a file is of one store for ever');
END;
CREATE TRIGGER store_delete BEFORE DELETE ON store BEGIN
    SELECT RAISE(ABORT, 'a file is of one store for ever');
END;
