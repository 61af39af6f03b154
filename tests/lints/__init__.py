"""Lints for the project's own rules, which no ready-made linter knows. Run with `python -m tests.lints`."""
