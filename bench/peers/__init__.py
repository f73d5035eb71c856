"""Compares the store with its peers under the same load: `make bench-peers`. Each system is a class in a small file."""
