"""Benchmarks: each module measures one question, and writes its figures to bench/results/."""
