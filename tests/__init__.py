"""The tests: unit, integration, e2e, faults, browser, compose and mutants. contracts and support are shared by them."""
