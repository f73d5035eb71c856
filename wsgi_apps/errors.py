"""One table from domain error to HTTP status. Apps read it one way, clients of a tier the other."""

from typing import Any

from domain.errors import (
    AnotherStore,
    Invalid,
    KeyReused,
    OrderNotFound,
    OutOfStock,
    ProductNotFound,
    StoreError,
    TooManyRefusals,
    Unavailable,
)

STATUS: dict[type[StoreError], int] = {
    Invalid: 400,
    ProductNotFound: 404,
    OutOfStock: 404,
    OrderNotFound: 404,
    AnotherStore: 409,
    KeyReused: 422,
    TooManyRefusals: 429,
    Unavailable: 503,
}

# Three errors share 404, so there the documented message, which is part of the contract, tells which one it is.
_ERRORS: dict[tuple[int, str], type[StoreError]] = {(status, kind.message): kind for kind, status in STATUS.items()}


def status_of(error: StoreError) -> int:
    """The HTTP status that stands for this error."""
    return STATUS[type(error)]


def encode_error(status: int, message: str) -> dict[str, Any]:
    """The form of every error that has no documented form of its own."""
    return {"error": {"code": status, "message": message}}


def decode_error(status: int, message: str) -> StoreError | None:
    """The error that another tier meant; None for an answer that is not in the contract."""
    if status == STATUS[Invalid]:
        return Invalid(message)
    kind = _ERRORS.get((status, message))
    return kind() if kind else None
