"""Values, errors, interfaces and the buy itself: the rules of the store, without input or output."""
