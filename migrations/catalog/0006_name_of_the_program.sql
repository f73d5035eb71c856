-- The owner's program is python -m admin; it was python -m db. These triggers name it in their messages.

DROP TRIGGER IF EXISTS product_history_insert;
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

DROP TRIGGER IF EXISTS products_insert;
CREATE TRIGGER products_insert BEFORE INSERT ON products BEGIN
    SELECT RAISE(ABORT, 'there is or was such a product: use python -m admin restock or price')
        FROM products WHERE name = NEW.name;
    SELECT RAISE(ABORT, 'a product stands as its ledger and its history say: use python -m admin add')
        WHERE NEW.quantity IS NOT
            (SELECT balance FROM stock_ledger WHERE product = NEW.name ORDER BY entry DESC LIMIT 1)
        OR (NEW.price_cents, NEW.retired) IS NOT
            (SELECT price_cents, what = 'retired' FROM product_history WHERE product = NEW.name ORDER BY entry DESC LIMIT 1);
END;

DROP TRIGGER IF EXISTS products_quantity;
CREATE TRIGGER products_quantity BEFORE UPDATE OF quantity ON products WHEN NEW.quantity IS NOT OLD.quantity BEGIN
    SELECT RAISE(ABORT, 'the stock is the last balance of the ledger: use python -m admin restock, writeoff or correct')
        WHERE NEW.quantity IS NOT
            (SELECT balance FROM stock_ledger WHERE product = NEW.name ORDER BY entry DESC LIMIT 1);
END;

DROP TRIGGER IF EXISTS products_price;
CREATE TRIGGER products_price BEFORE UPDATE OF price_cents, retired ON products
WHEN (NEW.price_cents, NEW.retired) IS NOT (OLD.price_cents, OLD.retired) BEGIN
    SELECT RAISE(ABORT, 'a product stands as its history says: use python -m admin price or retire')
        WHERE (NEW.price_cents, NEW.retired) IS NOT
            (SELECT price_cents, what = 'retired' FROM product_history WHERE product = NEW.name ORDER BY entry DESC LIMIT 1);
END;

DROP TRIGGER IF EXISTS products_name;
CREATE TRIGGER products_name BEFORE UPDATE OF name ON products WHEN NEW.name IS NOT OLD.name BEGIN
    SELECT RAISE(ABORT, 'a product keeps its name: use python -m admin add and retire');
END;

DROP TRIGGER IF EXISTS products_delete;
CREATE TRIGGER products_delete BEFORE DELETE ON products BEGIN
    SELECT RAISE(ABORT, 'a product stays in the books: use python -m admin retire');
END;
