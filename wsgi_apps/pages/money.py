"""Writes amounts of money for people. They are made of whole cents, so no digit is rounded."""


def money(cents: int, currency: str | None = None) -> str:
    """Returns an amount such as 1,234.50 EUR. A line does not break before the currency."""
    whole, rest = divmod(abs(cents), 100)
    return f"{'−' if cents < 0 else ''}{whole:,}.{rest:02}" + (f"\xa0{currency}" if currency else "")
