"""The subject of the store, free of input and output: values, errors, protocols and the buy itself."""
