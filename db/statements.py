"""The one way in which code that both engines share asks a database, within the transaction of its caller."""

from collections.abc import Callable, Mapping
from typing import Any

# Runs one statement with `:named` parameters and returns all its rows.
FetchAll = Callable[[str, Mapping[str, Any]], list[Any]]
