"""How requests are read, held by the tests, the parsers and the findings of others."""
