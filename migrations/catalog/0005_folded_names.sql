-- The name as a search compares it: without case, in every script. SQLite's own lower() knows ASCII only, so the
-- store writes it. It stands in the row, for the rows are in the order of their names, as pages are.

-- A wrong stock is for the audit, and must not keep the store closed.
PRAGMA ignore_check_constraints = ON;
ALTER TABLE products ADD COLUMN folded TEXT NOT NULL DEFAULT '';
UPDATE products SET folded = fold(name);
PRAGMA ignore_check_constraints = OFF;

CREATE TRIGGER products_folded AFTER INSERT ON products WHEN NEW.folded = '' BEGIN
    -- Until the store says better, and for a product that comes by hand. The audit names one that a search misses.
    UPDATE products SET folded = lower(name) WHERE name = NEW.name;
END;
