"""Tests in a browser: pages of other sites."""
