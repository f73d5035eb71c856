"""Compares how the server reads requests with other parsers and with their test cases."""
