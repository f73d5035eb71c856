"""Tests on a Docker engine: the image, compose.yaml, and containers by hand."""
