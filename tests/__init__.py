"""The tests: unit, integration, e2e, faults, browser, compose and mutants, with helpers in support."""
