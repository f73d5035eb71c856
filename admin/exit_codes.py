"""The exit codes of `python -m admin`, as its `--help` explains them."""

from db.sqlite.audit import Audit

CLEAN, WRONG, FAILED = 0, 1, 2


def exit_code_of(result: Audit) -> int:
    """Returns the exit code of a command that ends with this audit."""
    return CLEAN if result.is_clean else WRONG
