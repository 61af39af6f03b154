"""Benchmarks: this project measured beside idiomatic alternatives. See `./halfday bench --help`."""
