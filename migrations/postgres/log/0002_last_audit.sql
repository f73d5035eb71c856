-- The owner's desk shows what the newest audit found. Beside SQLite's files that is the file audit.json; several order
-- tiers share no folder, so here it is a row.

CREATE TABLE log.last_audit (
    -- At most one row, which each audit replaces. It is no part of the books, and no copy has it.
    "only" integer NOT NULL PRIMARY KEY DEFAULT 1 CHECK ("only" = 1),
    record text    NOT NULL                                                           -- JSON, as in audit.json
);
