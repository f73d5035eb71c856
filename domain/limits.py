"""The limits of a call to a tier: the size of its body, and how many buys, names or returns always fit into it."""

from domain.values import MAX_KEY_CHARACTERS, MAX_NAME_CHARACTERS, MAX_NOTE_CHARACTERS, MAX_QUANTITY

# Every tier refuses a request with a longer body.
MAX_BODY_BYTES = 64 * 1024

# A key is ASCII, but JSON writes a quotation mark as two bytes. UTF-8 writes a character of a name as up to four.
_KEY_BYTES = 2 * MAX_KEY_CHARACTERS
_NAME_BYTES = 4 * MAX_NAME_CHARACTERS
_NOTE_BYTES = 4 * MAX_NOTE_CHARACTERS
_QUANTITY_BYTES = len(str(MAX_QUANTITY))
# Quotes, brackets, commas and blanks around a value, or around a buy, take less than this.
_PUNCTUATION_BYTES = 16

# The most buys, and the most names, in one call. A tier of an earlier release refuses more than 112 buys or 240 names,
# so a greater number needs a new version of the calls (wsgi_apps/wire.py).
MAX_BATCH = MAX_BODY_BYTES // (_KEY_BYTES + _NAME_BYTES + _QUANTITY_BYTES + 4 * _PUNCTUATION_BYTES)
MAX_NAMES = MAX_BODY_BYTES // (_NAME_BYTES + _PUNCTUATION_BYTES)
# The most returns in one call. A return has its own key and that of its sale.
MAX_RETURNS = MAX_BODY_BYTES // (2 * _KEY_BYTES + _NAME_BYTES + _NOTE_BYTES + _QUANTITY_BYTES + 6 * _PUNCTUATION_BYTES)
