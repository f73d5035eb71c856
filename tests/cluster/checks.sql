-- The promises, as PostgreSQL itself sees them. Each count must be 0 once no buy is under way.
-- psql -f shows them for a store whose schemas are in one database.
SELECT 'I1 balance chain' AS what, count(*) FROM (
    SELECT delta, balance, lag(balance, 1, 0) OVER (PARTITION BY product ORDER BY entry) AS before FROM catalog.stock_ledger
) AS entries WHERE balance <> before + delta
UNION ALL SELECT 'I1 stock <> last balance', count(*) FROM catalog.products WHERE quantity IS DISTINCT FROM (
    SELECT balance FROM catalog.stock_ledger WHERE product = name ORDER BY entry DESC LIMIT 1)
UNION ALL SELECT 'I2 oversold', count(*) FROM catalog.products WHERE quantity < 0
UNION ALL SELECT 'I3 sold, not ordered', count(*) FROM catalog.stock_ledger AS sold LEFT JOIN log.orders USING (key)
    WHERE sold.reason = 'sold' AND (orders.product, orders.quantity, orders.price_cents) IS DISTINCT FROM (sold.product, -sold.delta, sold.price_cents)
UNION ALL SELECT 'I3 ordered, not sold', count(*) FROM log.orders LEFT JOIN catalog.stock_ledger AS sold USING (key)
    WHERE sold.reason IS DISTINCT FROM 'sold'
UNION ALL SELECT 'I3 key twice', (SELECT count(*) - count(DISTINCT key) FROM log.orders) + (SELECT count(key) - count(DISTINCT key) FROM catalog.stock_ledger)
UNION ALL SELECT 'I3 sold and refused', (SELECT count(*) FROM catalog.refused JOIN catalog.stock_ledger USING (key)) + (SELECT count(*) FROM log.refused JOIN log.orders USING (key))
UNION ALL SELECT 'I3 refused in the log only', count(*) FROM log.refused AS no LEFT JOIN catalog.refused AS yes USING (key)
    WHERE (yes.product, yes.quantity, yes.reason) IS DISTINCT FROM (no.product, no.quantity, no.reason)
UNION ALL SELECT 'I4 gaps', coalesce(max(number) + 1 - count(*), 0) FROM log.orders
UNION ALL SELECT 'I4 last number', count(*) FROM log.last_number WHERE number <> (SELECT coalesce(max(number), -1) FROM log.orders)
UNION ALL SELECT 'I4 time against number', count(*) FROM (SELECT time < lag(time) OVER (ORDER BY number) AS back FROM log.orders) AS o WHERE back
UNION ALL SELECT 'I6 in doubt', count(*) FROM log.intents;
