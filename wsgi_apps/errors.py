"""The table of domain errors and HTTP statuses. Apps encode errors by it, and the clients of a tier decode them."""

from typing import Any

from domain.errors import (
    AnotherStore,
    Invalid,
    KeyReused,
    OrderNotFound,
    OutOfStock,
    ProductNotFound,
    StoreError,
    TooManyLogins,
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
    TooManyLogins: 429,
    TooManyRefusals: 429,
    Unavailable: 503,
}

# Three errors share 404. Their messages, which are part of the contract, tell them apart.
_ERRORS: dict[tuple[int, str], type[StoreError]] = {(status, kind.message): kind for kind, status in STATUS.items()}


def status_of(error: StoreError) -> int:
    """Returns the HTTP status of this error."""
    return STATUS[type(error)]


def encode_error(status: int, message: str) -> dict[str, Any]:
    """Returns the JSON form of an error. A few replies have another form, which is documented."""
    return {"error": {"code": status, "message": message}}


def decode_error(status: int, message: str) -> StoreError | None:
    """Returns the error in a reply of another tier; None for a reply that is not in the contract."""
    if status == STATUS[Invalid]:
        return Invalid(message)
    kind = _ERRORS.get((status, message))
    return kind() if kind else None
