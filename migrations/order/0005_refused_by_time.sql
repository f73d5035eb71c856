-- The owner's pages show refused buys by time, from this index alone. Orders need none: their numbers are in the order of
-- their commits.
CREATE INDEX refused_by_time ON refused (time, key, product, quantity, reason);
