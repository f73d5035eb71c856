"""Tests in a real browser: no page of another site can buy."""
