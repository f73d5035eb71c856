"""The few ways in which the store says no. `wsgi_apps/errors.py` maps each to an HTTP status and back."""


class StoreError(Exception):
    """A no that a stranger may read. It is also a value: in a batch it stands in the place of one buy's result."""

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
    """The request itself is wrong; the message names the problem."""


class Refused(StoreError):
    """A final no to a buy: it is kept with the buy's key and never changes."""


class ProductNotFound(Refused):
    message = "product not found"


class OutOfStock(Refused):
    message = "out of stock"


# As the databases and the wire spell them.
REFUSALS: dict[str, type[Refused]] = {refusal.message: refusal for refusal in (ProductNotFound, OutOfStock)}


class OrderNotFound(StoreError):
    message = "order not found"


class KeyReused(StoreError):
    """The idempotency key already stands for a buy of another product or quantity."""

    message = "this Idempotency-Key was used for another product or quantity"


class AnotherStore(StoreError):
    """The catalog and the order log that asks it are not of one store, or not of one age: nothing was sold."""

    message = "this catalog is not the one of your order log"


class Unavailable(StoreError):
    """No answer now. It says nothing about the buy: ask again with the same key.

    `retry_after_s` is set where nothing fares better that is asked before: the other side is away, or wants to be left
    alone for so long. Where it is None, the question itself may be the trouble.
    """

    message = "the store is busy, try again"

    def __init__(self, message: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyRefusals(Unavailable):
    """A buy that could only be refused, at a time when too many are: it is not begun, and nothing of it is kept."""

    message = "too many buys were refused lately, and this one could only be; ask again with the same key"
