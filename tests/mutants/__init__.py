"""Seeded bugs, and the program that checks that a test catches each: `make mutants`."""
