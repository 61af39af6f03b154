"""A service of the tests' own, run as real processes."""
