"""The store beside its peers, under one load: `make bench-peers`. A system is one small file with a `System` in it."""
