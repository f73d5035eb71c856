-- The name as a search compares it: without case, in every script. SQLite's own lower() knows ASCII only, so the
-- store writes it. It stands in the row, for the rows are in the order of their names, as pages are.
ALTER TABLE products ADD COLUMN folded TEXT NOT NULL DEFAULT '';
UPDATE products SET folded = fold(name);

CREATE TRIGGER products_folded_insert BEFORE INSERT ON products WHEN NEW.folded = '' BEGIN
    SELECT RAISE(ABORT, 'a product needs its name as a search compares it: add it with python -m db add');
END;
CREATE TRIGGER products_folded_update BEFORE UPDATE OF name, folded ON products WHEN NEW.folded = '' BEGIN
    SELECT RAISE(ABORT, 'a product needs its name as a search compares it');
END;
