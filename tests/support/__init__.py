"""Helpers of the tests: running stores, shoppers, checks of the promises, stubs."""
