"""The errors of the store. `wsgi_apps/errors.py` maps each to an HTTP status and back."""


class StoreError(Exception):
    """An error whose message a stranger may read. A batch also returns it as a value, in the place of a result."""

    message = "the store cannot do this"

    def __init__(self, message: str | None = None) -> None:
        if message is not None:
            self.message = message
        super().__init__(self.message)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoreError) and (type(self), self.message) == (type(other), other.message)

    def __hash__(self) -> int:
        return hash((type(self), self.message))


class Invalid(StoreError):
    """The request itself is wrong; the message names the problem.

    `field` is the name of the form's field that is wrong. It is empty when the problem is of none, or of no form.
    """

    def __init__(self, message: str | None = None, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class Refused(StoreError):
    """The final refusal of a buy. It is stored under the buy's key and never changes."""


class ProductNotFound(Refused):
    message = "product not found"


class OutOfStock(Refused):
    message = "out of stock"


# Each refusal by its message, which is its form in the databases and between tiers.
REFUSALS: dict[str, type[Refused]] = {refusal.message: refusal for refusal in (ProductNotFound, OutOfStock)}


class OrderNotFound(StoreError):
    message = "order not found"


class KeyReused(StoreError):
    """The idempotency key already stands for a buy of another product or quantity."""

    message = "this Idempotency-Key was used for another product or quantity"


class AnotherStore(StoreError):
    """The catalog is not of the order log's store, or older than the log: nothing was sold."""

    message = "this catalog is not the one of your order log"


class Unavailable(StoreError):
    """There is no answer now. The buy may or may not have been made: ask again with the same key.

    `retry_after_s` is set when other questions would fail as well: the other side is away, or asks for a pause of this
    many seconds. When it is None, this question alone may have caused the failure.
    """

    message = "the store is busy, try again"

    def __init__(self, message: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyLogins(Unavailable):
    """Too many wrong secrets of the owner were sent lately, so none is looked at for a while."""

    message = "too many wrong secrets were sent; wait before the next one, which may be the right one"


class TooManyRefusals(Unavailable):
    """The buy is throttled: it would be refused, and too many buys were refused lately. Nothing of it is stored."""

    message = "too many buys were refused lately, and this one could only be; ask again with the same key"
