"""What the store is about, free of input and output: values, errors, protocols and the buy itself."""
