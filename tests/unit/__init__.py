"""Tests without sockets. A folder and a module of the product have their tests under the same name."""
